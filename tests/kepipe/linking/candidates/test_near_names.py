"""Candidates whose names have vectors near that of a span."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kepipe.data.document import Span
from kepipe.linking.candidates.matches import NEAR, AddedCandidate, merge
from kepipe.linking.evaluation.explain import explain
from kepipe.linking.linker import Linker
from kepipe.linking.text.batch import TextBatch
from kepipe.linking.training.examples import training_example
from kg.schema import Entity
from kg.writer import write_graph
from tests.support.linking import annotate, random_view

TERMS = [
    Entity("blood", "hematologic cancer", ("blood cancer",)),
    Entity("liver", "liver disease"),
    Entity("malaria", "malaria"),
    Entity("one", "glycogen storage disease 1", ("glycogen disorder 1",)),
    Entity("other", "disorder of blood"),
    Entity("growth", "benign tumor"),
]
SAME = {"cancer": "tumor", "disease": "disorder"}
"""Words that get the same vector; all others are orthogonal."""
MakeLinker = Callable[[list[Entity]], Linker]


@pytest.fixture(scope="module")
def make_linker(tmp_path_factory: pytest.TempPathFactory) -> MakeLinker:
    def make(entities: list[Entity]) -> Linker:
        graph = write_graph(tmp_path_factory.mktemp("graph"), entities, [], {})
        return replace(Linker.build(graph), dense=random_view(graph, SAME))

    return make


@pytest.fixture(scope="module")
def linker(make_linker: MakeLinker) -> Linker:
    return make_linker(TERMS)


def links(linker: Linker, text: str, *phrases: str) -> list[tuple[str, str]]:
    """The links of a text with these noun phrases."""
    spans = tuple(Span(text.index(phrase), text.index(phrase) + len(phrase)) for phrase in phrases)
    found = linker.link(text, replace(annotate(text), phrases=spans))
    return [(text[mention.start : mention.end], mention.entity) for mention in found]


def test_a_term_in_other_words_is_found_by_its_vector_alone(linker: Linker) -> None:
    text = "They had the hematologic tumor."
    assert links(linker, text, "the hematologic tumor") == [("hematologic tumor", "blood")]
    assert links(replace(linker, dense=None), text, "the hematologic tumor") == []
    matches = linker.find(text, annotate(text))
    assert (matches.sources == NEAR).tolist() == [True]
    assert matches.priors.tolist() == [1.0]


def test_explain_tells_the_near_name_and_its_cosine(linker: Linker) -> None:
    text = "They had hematologic tumor there. Malaria too."
    near, written = explain(linker, text, annotate(text))
    assert near.note == "near the name hematologic cancer, cosine 1.00"
    assert near.choices[0].entity == "blood"
    assert written.note == ""


def test_a_training_example_has_no_candidates_by_vectors(linker: Linker) -> None:
    text = "They had hematologic tumor there. Malaria too."
    assert NEAR in linker.find(text, annotate(text)).sources.tolist()
    with_view, without = (
        training_example(each, text, annotate(text), []) for each in (linker, replace(linker, dense=None))
    )
    assert with_view.matches.starts.tolist() == without.matches.starts.tolist() == [text.index("Malaria")]
    assert with_view.features.tolist() == without.features.tolist()


def test_added_candidates_keep_the_marks_of_short_forms_outside(linker: Linker) -> None:
    text = "hematologic tumor or malaria"
    batch = TextBatch((text,), ("",), (annotate(text),))
    matches = replace(linker, dense=None).find(text, annotate(text))
    assert matches.outside.tolist() == [False]
    marked = replace(matches, outside=~matches.outside)
    merged = merge(batch, marked, {(0, 17): [AddedCandidate(0, 1.0, NEAR)]})
    assert merged.starts.tolist() == [0, text.index("malaria")]
    assert merged.outside.tolist() == [False, True]


def test_without_a_parser_words_of_terms_are_taken_together(linker: Linker) -> None:
    assert links(linker, "They had hematologic tumor there.") == [("hematologic tumor", "blood")]


def test_an_abbreviation_of_such_a_term_is_linked_too(linker: Linker) -> None:
    text = "A hematologic tumor (HT) is rare. They had HT."
    assert links(linker, text, "A hematologic tumor") == [
        ("hematologic tumor", "blood"),
        ("HT", "blood"),
        ("HT", "blood"),
    ]


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("a glycogen storage disorder 2", "glycogen storage disorder 2"),  # another number
        ("severe malaria", "severe malaria"),  # a name of the graph is in it
        ("the liver", "the liver"),  # a short word
        ("the hematologic engine", "the hematologic engine"),  # does not end like a term
        ("a renal tumor", "a renal tumor"),  # not near enough
        ("these disorders", "these disorders"),  # a category
    ],
)
def test_phrase_with_another_reading_gets_no_near_name(linker: Linker, text: str, phrase: str) -> None:
    found = linker.find(text, replace(annotate(text), phrases=(Span(text.index(phrase), len(text)),)))
    assert NEAR not in found.sources.tolist()


def test_the_same_number_is_no_hindrance(linker: Linker) -> None:
    text = "a glycogen storage disorder 1"
    assert links(linker, text, text) == [("glycogen storage disorder 1", "one")]


def test_names_of_an_encyclopaedia_are_not_told_by_vectors(make_linker: MakeLinker) -> None:
    linker = make_linker([Entity("army", "Dutch Disease Club"), Entity("b", "Paris"), Entity("c", "Rome")])
    text = "The Dutch Disorder Club won."
    assert linker.dense is not None
    assert linker.dense.nearest(["Dutch Disorder Club"])[0].tolist() == [0]
    assert links(linker, text, "The Dutch Disorder Club") == []


def test_a_linker_with_a_view_links_batches_as_single_texts(linker: Linker, tmp_path: Path) -> None:
    linker.save(tmp_path / "linker")
    opened = Linker.open(tmp_path / "linker")
    texts = [(text, "", annotate(text)) for text in ("hematologic tumor", "", "malaria", "blood tumor")]
    together = list(opened.link_all(texts))
    assert together == [linker.link(text, annotation) for text, _, annotation in texts]
    assert [[mention.entity for mention in mentions] for mentions in together] == [
        ["blood"],
        [],
        ["malaria"],
        ["blood"],
    ]
