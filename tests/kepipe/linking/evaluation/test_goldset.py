import json
from dataclasses import replace
from pathlib import Path

import pytest

from kepipe.data.document import Span
from kepipe.linking.evaluation.assess import (
    ambiguity,
    assess,
    breakdown,
    by_linker,
    by_ner,
    by_prior,
    summary,
)
from kepipe.linking.evaluation.explain import explain
from kepipe.linking.evaluation.goldset import EntityIds, read_gold, require_known
from kepipe.linking.kb.links import NIL, Link
from kepipe.linking.linker import Linker
from kepipe.linking.text.annotations import Annotations, Name
from kepipe.linking.text.annotators import RuleAnnotator
from kg.problems import Problems
from kg.store import Graph

TEXT = "Omaha met York. Leeds left Atlantis."


@pytest.fixture(scope="module")
def linker(graph: Graph) -> Linker:
    return Linker.build(graph)


@pytest.fixture
def ids(graph: Graph) -> EntityIds:
    return EntityIds(dict(zip(graph.ids, range(len(graph)), strict=True)), {"Q1": "omaha"})


def write(folder: Path, *records: object) -> Path:
    file = folder / "gold.jsonl"
    file.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return file


def mark(start: int, end: int, entity: str, kind: str = "place") -> dict[str, object]:
    return {"start": start, "end": end, "entity": entity, "type": kind}


def test_links_in_the_evaluation_span_with_other_ids(tmp_path: Path, ids: EntityIds, graph: Graph) -> None:
    marks = [mark(0, 5, "Q1"), mark(16, 21, "leeds"), mark(27, 35, "Q404")]
    (text,) = read_gold(write(tmp_path, {"text": TEXT, "mentions": marks, "evaluation_span": [0, 30]}), ids)
    assert text.links == (Link(0, 5, graph.row("omaha")), Link(16, 21, graph.row("leeds")))
    (text,) = read_gold(write(tmp_path, {"text": TEXT, "gold": marks}), ids)
    assert text.links[-1] == Link(27, 35, NIL)


def test_bad_lines_are_reported_with_file_and_line(tmp_path: Path, ids: EntityIds) -> None:
    file = write(tmp_path, {"text": TEXT, "evaluation_span": [5, 999]}, {"text": ""}, {"text": TEXT})
    problems = Problems()
    assert len(read_gold(file, ids, problems)) == 1
    assert "evaluation_span" in problems.summary()
    with pytest.raises(ValueError, match=r"gold\.jsonl:1"):
        read_gold(file, ids)


def test_used_and_unused_annotations_are_counted(tmp_path: Path, ids: EntityIds) -> None:
    known = next(iter(ids.rows))
    marks = [mark(0, 9, known), mark(0, 5, known), mark(10, 14, "Q77"), mark(27, 35, known)]
    problems = Problems(strict=True)
    read_gold(write(tmp_path, {"text": TEXT, "mentions": marks, "evaluation_span": [0, 22]}), ids, problems)
    assert list(problems.account.lines()) == [
        "taken: marks: 2 (of its entities 1, of entities that the graph lacks 1)", "taken: texts: 1 (kepipe 1)",
        "left out: marks within others, or outside of what was annotated: 2",
    ]  # fmt: skip


def test_unknown_ids_suggest_the_ids_option(tmp_path: Path, ids: EntityIds) -> None:
    texts = read_gold(write(tmp_path, {"text": TEXT, "mentions": [mark(0, 5, "Q77")]}), ids)
    with pytest.raises(ValueError, match="--ids"):
        require_known(texts, "gold.jsonl")


def test_a_gold_set_without_annotations_and_a_folder_raise(tmp_path: Path, ids: EntityIds) -> None:
    with pytest.raises(ValueError, match="no mention is annotated in its 1 texts"):
        require_known(read_gold(write(tmp_path, {"text": TEXT}), ids), "gold.jsonl")
    with pytest.raises(ValueError, match="no such file; a gold set is"):
        read_gold(tmp_path, ids)


def test_ids_are_read_from_jsonl_and_tsv(tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_text('{"id": "omaha", "qid": "Q1"}\n{"id": "york", "qid": null}\n')
    (tmp_path / "e.tsv").write_text("Q1\tomaha\n")
    for source in (f"{tmp_path / 'e.jsonl'}:qid", str(tmp_path / "e.tsv")):
        assert EntityIds.read(["york", "omaha"], source).row("Q1") == 1
    (tmp_path / "e.tsv").write_text("Q1 omaha\n")
    with pytest.raises(ValueError, match=r"e.tsv:1: expected two columns"):
        EntityIds.read(["omaha"], str(tmp_path / "e.tsv"))


def test_the_domain_of_a_text_is_read(tmp_path: Path, ids: EntityIds) -> None:
    (text,) = read_gold(
        write(tmp_path, {"text": TEXT, "mentions": [mark(0, 5, "omaha")], "domain": "web"}), ids
    )
    assert text.domain == "web"


def test_every_kind_of_linking_mistake_is_counted(
    tmp_path: Path, ids: EntityIds, graph: Graph, linker: Linker
) -> None:
    marks = [mark(0, 5, "omaha"), mark(10, 14, "leeds"), mark(27, 35, "Q404"), mark(6, 9, "uk", "verb")]
    (text,) = read_gold(write(tmp_path, {"text": TEXT, "mentions": marks}), ids)
    row = graph.row
    predicted = [
        Link(0, 5, row("omaha")),
        Link(10, 14, row("york")),
        Link(16, 21, row("leeds")),
        Link(27, 30, 0),
    ]
    annotation = Annotations((), ())
    found = assess([text], [annotation], lambda *_: predicted, lambda *_: linker.find(TEXT, annotation))
    assert found.mistakes() == {
        "wrong entity": 1,
        "not marked": 1,
        "wrong boundary": 1,
        "no candidate": 2,
    }
    assert (found.in_graph.predicted, found.in_graph.given, found.in_graph.right) == (4, 3, 1)
    # "met" is left alone though marked with an entity of the graph; Atlantis is not left alone.
    assert (found.outside.predicted, found.outside.given, found.outside.right) == (1, 1, 0)
    assert (found.overall.predicted, found.overall.given, found.overall.right) == (5, 4, 1)
    assert found.candidate_recall == pytest.approx(1 / 3)
    assert breakdown(found, lambda decision: decision.kind) == {
        "place": {"given": 2, "right": 1, "recall": 0.5},
        "verb": {"given": 1, "right": 0, "recall": 0.0},
    }
    told = summary(found)
    assert sum(entry["given"] for entry in told["by_ambiguity"].values()) == 3
    assert told["by_name"] == {
        "no name of the graph": {"given": 1, "right": 0, "recall": 0.0},
        "name of others alone": {"given": 1, "right": 0, "recall": 0.0},
        "name of the entity": {"given": 1, "right": 1, "recall": 1.0},
    }
    assert "by_domain" not in told
    news = replace(text, domain="news")
    found = assess(
        [text, news], [annotation] * 2, lambda *_: predicted, lambda *_: linker.find(TEXT, annotation)
    )
    assert {name: entry["given"] for name, entry in summary(found)["by_domain"].items()} == {"": 3, "news": 3}
    assert [ambiguity(count) for count in (0, 1, 2, 5)] == [
        "no candidate",
        "one candidate",
        "two to four",
        "five or more",
    ]


def test_predictions_of_linker_and_baselines(
    tmp_path: Path, ids: EntityIds, linker: Linker, graph: Graph
) -> None:
    (text,) = read_gold(write(tmp_path, {"text": TEXT, "mentions": [mark(0, 5, "omaha")]}), ids)
    annotation = Annotations((Span(0, len(TEXT)),), (), None, (Name(0, 5, "GPE"), Name(27, 35, "GPE")))
    omaha = Link(0, 5, graph.row("omaha"))
    assert by_ner(linker.gazetteer, linker.degrees.tolist())(text, annotation) == [omaha]
    assert [TEXT[link.start : link.end] for link in by_prior(linker.gazetteer)(text, annotation)] == [
        "Omaha",
        "York",
        "Leeds",
    ]
    assert omaha in by_linker(linker)(text, annotation)


def test_an_explanation_adds_up_to_the_score(linker: Linker) -> None:
    text = "He moved from Omaha to Lincoln, Nebraska."
    annotation = next(iter(RuleAnnotator().annotate([text])))
    explained = explain(linker, text, annotation)
    assert [(name.surface, name.outcome) for name in explained] == [
        ("Omaha", "linked"),
        ("Lincoln", "linked"),
        ("Nebraska", "linked"),
    ]
    for name in explained:
        for choice in name.choices:
            logit = sum(adds for _, _, adds in choice.parts) + linker.ranker.bias
            score = linker.ranker.score(linker.featurize(text, annotation)[1])
            assert any(abs(value - choice.score) < 1e-9 for value in score)
            assert 1 / (1 + 2.718281828459045**-logit) == pytest.approx(choice.score)


def test_type_ids_are_replaced_by_labels(ids: EntityIds, graph: Graph) -> None:
    assert ids.name_kind("Q1|Q2|tokyo", graph.labels) == "Omaha, Q2, 東京"
    assert ids.name_kind("", graph.labels) == ""
