from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import get_args

import pytest

from kepipe.data.document import Document
from kepipe.linking.candidates.fuzzy import nearest_name
from kepipe.linking.decision.policy import Policy
from kepipe.linking.evaluation.diagnosis import Reason, _around, diagnose
from kepipe.linking.linker import Linker
from kepipe.linking.text.annotations import Annotations, Name
from kepipe.linking.text.annotators import ChineseAnnotator, RuleAnnotator
from kepipe.linking.text.casing import Casing
from kepipe.linking.text.namelike import namelike
from kepipe.linking.text.words import count_words
from kepipe.report.linking import _REASONS, diagnosis_page
from kepipe.report.page import Text, render
from kg.schema import Entity, Relation, Triple
from kg.store import Graph
from kg.writer import write_graph


@pytest.fixture(scope="module")
def linker(graph: Graph) -> Linker:
    return Linker.build(graph)


def test_diagnosis_gives_reasons_and_suggestions(linker: Linker, graph: Graph) -> None:
    text = "They met in Omaha, then in Nebrasca, and saw Atlantis."
    documents = [Document("d", text)]
    found = diagnose(linker, zip(documents, RuleAnnotator().annotate([text]), strict=True))
    why = {each.surface: each.reason for each in found.unlinked}
    assert why["Nebrasca"] == "no alias"
    assert why["Atlantis"] == "no alias"
    assert found.suggestions[0].surface == "Nebrasca"
    assert found.suggestions[0].entity == "ne"
    assert found.linked <= found.spans
    assert "Nebrasca" in render(diagnosis_page(found))


def test_entities_with_equal_labels_are_shown_with_ids(linker: Linker) -> None:
    text = "They met in Omaha and in Lincoln, Nebraska."
    found = diagnose(linker, zip([Document("d", text)], RuleAnnotator().annotate([text]), strict=True))
    assert ("Lincoln [lincoln-ne]", "Lincoln [lincoln-uk]") in [
        (each.first, each.second) for each in found.contested
    ]


def test_a_common_word_at_a_sentence_start_is_not_a_name(linker: Linker) -> None:
    """The texts themselves tell which words are common, where the linker has not counted any."""
    text = (
        "During May they met, and during June. During July, after noon, they saw Atlantis. After all, after Omaha came "
        "J. Tolkien from New York City. During Omaha, in May, they sang. During Mary Smith, after lunch, during "
        "tea and during dinner, they slept, after and during all."
    )
    (annotation,) = RuleAnnotator().annotate([text])
    casing = Casing({"during": 0.9, "after": 0.9})
    spans = [text[start:end] for start, end in namelike(text, annotation, casing)]
    assert spans == ["Atlantis", "Omaha", "J. Tolkien", "New York City", "Omaha", "Mary Smith"]
    usual = Document("e", "during " * 20 + "after " * 20), Annotations((), ())
    found = diagnose(linker, [(Document("d", text), annotation), usual])
    assert {each.surface for each in found.unlinked} == {"Atlantis", "J. Tolkien", "Mary Smith"}
    assert (found.spans, found.linked) == (6, 3)


def test_chinese_names_are_diagnosed(linker: Linker) -> None:
    text = "李明教授昨天在上海会见了比尔·盖茨，讨论《红楼梦》。"
    (annotation,) = ChineseAnnotator().annotate([text])
    spans = namelike(text, annotation, Casing())
    assert [text[start:end] for start, end in spans] == ["李明", "上海", "比尔·盖茨", "红楼梦"]
    found = diagnose(linker, [(Document("d", text), annotation)])
    assert {each.surface: each.reason for each in found.unlinked}["上海"] == "no alias"
    assert count_words(text) == len(text) - 5  # without the marks
    assert count_words("两 words, 三个 more") == 5


def test_a_link_that_includes_the_article_covers_the_name(tmp_path: Path) -> None:
    entities = [Entity("nl", "The Netherlands", prior=9.0), Entity("eu", "Europe", prior=9.0)]
    graph = write_graph(tmp_path, entities, [Relation("in", "in")], {"train": [Triple("nl", "in", "eu")]})
    text = "We saw The Netherlands."
    names = (Name(11, 22, "GPE"),)
    found = diagnose(Linker.build(graph), [(Document("d", text), Annotations((), (), names=names))])
    assert (found.spans, found.linked, found.mentions) == (1, 1, 1)


def test_the_report_of_an_empty_diagnosis(linker: Linker) -> None:
    batch = diagnosis_page(diagnose(linker, []))
    assert batch.headline == "0 of 0 names in the text are linked (0%)"
    assert [section.blocks for section in batch.sections] == [
        (Text("All are linked."),),
        (Text("None."),),
        (Text("No linked name had a second candidate."),),
        (Text("No unknown name is similar to a known one."),),
    ]


def test_every_reason_is_explained() -> None:
    assert set(get_args(Reason)) == _REASONS.keys()


def test_nearest_name_within_the_edit_distance(linker: Linker, graph: Graph) -> None:
    near = nearest_name(linker.gazetteer.lexicon, "Nebrasca")
    assert near is not None
    assert (near.name, graph.ids[near.row]) == ("Nebraska", "ne")
    assert nearest_name(linker.gazetteer.lexicon, "Atlantis") is None
    assert nearest_name(linker.gazetteer.lexicon, "Yrk") is None


def test_last_names_of_persons_with_a_full_name_in_the_text(linker: Linker, graph: Graph) -> None:
    """As if New York City were a person: NER decides, not the graph."""
    text = "New York City spoke. City left. Mary City came. City again."
    spans = [(0, 13), (21, 25), (32, 41), (48, 52)]
    names = tuple(Name(start, end, "PERSON") for start, end in spans)
    found = linker.find(text, Annotations((), (), names=names))
    short = [
        (int(found.starts[owner]), graph.ids[row])
        for owner, row, is_short in zip(found.owners, found.rows.tolist(), found.sources, strict=True)
        if is_short
    ]
    assert short == [(21, "nyc"), (48, "nyc")]
    likely = [float(found.priors[found.starts[found.owners] == start][0]) for start, _ in short]
    assert likely[0] == 1.0  # and "Mary City", who is not in the graph, is nearer to the second
    assert len(linker.find(text, Annotations((), ()))) == len(linker.gazetteer.find(text))


def test_an_example_is_cut_between_words() -> None:
    text = "One two three four Nebrasca five six seven"
    start = text.index("Nebrasca")
    end = start + len("Nebrasca")
    assert _around(text, start, end, width=8) == "… four [Nebrasca] five …"
    assert _around(text, start, end, width=80) == text.replace("Nebrasca", "[Nebrasca]")
    assert _around("它位于柏林的中心，在河边", 3, 5, width=2) == "… 位于[柏林]的中 …"


def test_diagnosis_of_a_very_long_document_takes_linear_time(linker: Linker) -> None:
    text = "they met in Lincoln and in Atlantis. " * 27_000
    annotation = Annotations((), ())
    started = process_time()
    found = diagnose(linker, [(Document("d", text), annotation)])
    assert found.reasons == {"no alias": 27_000}
    assert process_time() - started < 10


def test_diagnosis_follows_the_policy(linker: Linker) -> None:
    text = "They met in Omaha, Nebraska, in Leeds."
    names = (Name(12, 17, "GPE"), Name(19, 27, "GPE"))
    rules = next(iter(RuleAnnotator().annotate([text])))
    documents = [(Document("d", text), replace(rules, names=names))]
    apart, joined = (diagnose(linker, documents, policy=Policy(join=join)) for join in (False, True))
    assert (apart.mentions, joined.mentions) == (3, 2)
    gated = diagnose(linker, documents, policy=Policy(gate=True))
    assert gated.mentions == 2
    assert diagnose(linker, documents, policy=Policy(threshold=1.0)).mentions == 0
