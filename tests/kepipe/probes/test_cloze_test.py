"""The test of the entity cloze: which mentions, in which window, among which candidates."""

from dataclasses import replace
from itertools import cycle

import numpy as np
import pytest

from kepipe.data.document import Document, Mention
from kepipe.probes.base import NothingToAsk
from kepipe.probes.cloze_test import ClozeMaker, Link
from kepipe.probes.held_out import Links
from kg.store import open_graph
from tests.support.world import CAPITALS, entity_id, make_documents


@pytest.fixture
def graph(world):
    return open_graph(world.graph.folder)


def make(world, graph, documents=None, seed=0, **settings):
    documents = world.documents if documents is None else documents
    held_out = {document.id for document in world.held_out}
    maker = ClozeMaker(graph, world.tokenizer, **{"context_tokens": 48, **settings})
    return maker.make(Links.count((d, d.id in held_out) for d in documents), np.random.default_rng(seed))


def one(world, graph, text, *mentions, **settings):
    document = Document("d0", text, mentions=mentions)
    return make(world, graph, [document], **settings)


def test_cases_are_in_held_out_documents_and_rebuild_the_text(world, graph):
    test = make(world, graph)
    texts = {document.id: document.text for document in world.held_out}
    assert test.source == "linked"
    assert len(test.cases) > 20
    for case in test.cases:
        assert texts[case.document][case.start : case.end] == case.surface == case.label
        assert entity_id(case.surface) == case.entity
        rebuilt = world.tokenizer.decode([*case.left, *case.name, *case.right])
        assert rebuilt.replace(" ", "") in texts[case.document].lower().replace(" ", "")
        assert len(case.left) + len(case.right) <= 48 - 6 - 2
        assert case.before + case.surface + case.after in texts[case.document]


def test_truth_is_a_candidate_of_its_type(world, graph):
    test = make(world, graph, max_candidates=12)
    for case in test.cases:
        table = test.candidates[case.type]
        assert table.labels[test.truth(case)] == case.label
        assert case.label in (CAPITALS.values() if case.type == "city" else CAPITALS)
    assert set(test.candidates) == {"city", "country"}
    assert all(len(table.names) == 12 == len(set(table.names)) for table in test.candidates.values())


def test_corpus_entities_are_preferred_candidates_with_training_link_counts(world, graph):
    test = make(world, graph, max_candidates=20)
    cities = test.candidates["city"]
    assert set(CAPITALS.values()) <= set(cities.labels)
    assert len(cities.labels) == 20  # the rest are cities that the corpus never mentions
    held_out = {document.id for document in world.held_out}
    for label, links in zip(cities.labels, cities.links, strict=True):
        expected = sum(
            mention.entity == entity_id(label)
            for document in world.documents
            if document.id not in held_out
            for mention in document.mentions
        )
        assert links == expected


def test_entities_with_equal_labels_are_one_candidate(world, graph):
    assert make(world, graph, max_candidates=100).candidates["city"].labels.count("Lima") == 1


def test_name_visible_elsewhere_in_the_window_is_skipped(world, graph):
    twice = "Oslo is old. People of Oslo say so."
    with pytest.raises(NothingToAsk, match="1 name occurs elsewhere in the window"):
        one(world, graph, twice, Mention(0, 4, entity_id("Oslo")))
    far = "Oslo is old. " + "Many people live there. " * 20 + "Here is Oslo."
    assert len(one(world, graph, far, Mention(0, 4, entity_id("Oslo")), context_tokens=32).cases) == 1


def test_mentions_left_out_are_counted_by_reason(world, graph):
    text = "In Oslopolis, Nothing, Lima and Qxz the sea of Kenya."
    spans = {name: text.index(name) for name in ("Oslo", "Nothing", "Lima", "Qxz", "Kenya")}
    test = one(
        world, graph, text,
        Mention(spans["Oslo"], spans["Oslo"] + 2, entity_id("Oslo")),
        Mention(spans["Nothing"], spans["Nothing"] + 7, "id:untyped"),
        Mention(spans["Lima"], spans["Lima"] + 4, entity_id("Lima"), 0.2),
        Mention(spans["Qxz"], spans["Qxz"] + 3, "id:absent"),
        Mention(spans["Kenya"], spans["Kenya"] + 5, entity_id("Kenya")),
    )  # fmt: skip
    assert test.left_out == {
        "begins or ends inside a token": 1, "without a type": 1, "the linker's confidence is too low": 1,
        "not in the graph": 1,
    }  # fmt: skip


def unsure(documents, scores):
    """The documents with these confidences of their mentions, cyclically."""
    turn = cycle(scores)
    return [
        replace(document, mentions=tuple(replace(m, score=next(turn)) for m in document.mentions))
        for document in documents
    ]


def test_min_score_is_lowered_to_keep_half_of_the_mentions(world, graph):
    lowered = make(world, graph, unsure(world.documents, (0.6, 0.3)))
    assert lowered.min_score == pytest.approx(0.45)
    assert len(lowered.cases) > 20
    assert (
        lowered.left_out["the linker's confidence is too low"] == 50
    )  # 10 documents, 5 of 10 mentions in each
    kept = make(world, graph, unsure(world.documents, (0.95, 0.3)))
    assert kept.min_score == 0.9


def test_text_without_mentions_has_no_cases(world, graph):
    bare = [replace(document, mentions=()) for document in world.documents]
    with pytest.raises(NothingToAsk, match="has no mention of an entity"):
        make(world, graph, bare)
    with pytest.raises(NothingToAsk, match="has no link given with it"):
        make(world, graph, mentions="gold")


def test_gold_mentions_are_used_if_there_are_enough(world, graph):
    with_gold = make_documents(gold=True)
    assert make(world, graph, with_gold, max_cases=60).source == "gold"
    few = [replace(document, gold=document.gold[:1]) for document in with_gold]
    assert make(world, graph, few, max_cases=60).source == "linked"
    assert make(world, graph, few, mentions="gold").min_score is None
    assert make(world, graph, few, mentions="gold").source == "gold"


def test_cloze_cases_are_seeded_and_bounded(world, graph):
    first, second = make(world, graph, max_cases=7), make(world, graph, max_cases=7)
    assert len(first.cases) == 7
    assert [(c.document, c.start) for c in first.cases] == [(c.document, c.start) for c in second.cases]
    assert first.candidates["city"].names == second.candidates["city"].names
    third = make(world, graph, max_cases=7, seed=1)
    assert [(c.document, c.start) for c in first.cases] != [(c.document, c.start) for c in third.cases]


def test_long_labels_are_neither_cases_nor_candidates(world, graph):
    test = make(world, graph, max_name_tokens=1)
    assert all(len(name) == 1 for table in test.candidates.values() for name in table.names)
    assert any(reason.startswith("label longer than 1") for reason in test.left_out)


def test_window_links_its_other_entities_and_never_the_answer(world, graph):
    """By hand: "Tigerstaden" is an alias of Oslo, "old Oslo" overlaps the blank, Lima is another entity."""
    text = "Peru: old Oslo, not Lima, is Tigerstaden."
    asked = Mention(10, 14, entity_id("Oslo"))
    others = [
        Mention(0, 4, entity_id("Peru")), Mention(6, 14, entity_id("Norway")), Mention(20, 24, entity_id("Lima")),
        Mention(29, 40, entity_id("Oslo")),
    ]  # fmt: skip
    document = Document("d0", text, mentions=tuple(others), gold=(asked,))
    (case,) = make(world, graph, [document], mentions="gold").cases
    tokens = [*case.left, *case.right]
    assert case.surface == "Oslo"
    assert [(world.tokenizer.decode([tokens[link.place]]), link.entity) for link in case.links] == [
        (world.tokenizer.decode(list(world.tokenizer.encode([name]).tokens[:1])), entity_id(name))
        for name in ("Peru", "Lima")
    ]
    assert case.links[1] == Link(case.links[1].place, "id:Lima")
    assert case.links[0].place < len(case.left) <= case.links[1].place


def test_every_mention_in_a_window_but_the_blank_is_a_link(world, graph):
    for case in make(world, graph, context_tokens=256).cases:
        (document,) = [d for d in world.held_out if d.id == case.document]
        others = [m.entity for m in document.mentions if m.start != case.start]
        assert [link.entity for link in case.links] == others
