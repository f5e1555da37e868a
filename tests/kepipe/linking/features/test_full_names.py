"""Corrections of the features of names of several words."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from kepipe.data.document import Span
from kepipe.linking.candidates.matches import Matches
from kepipe.linking.features.full_names import correct_full_names
from kepipe.linking.features.surroundings import MATCH_FEATURES
from kepipe.linking.linker import Linker
from kepipe.linking.text.annotations import Annotations, Name
from kepipe.linking.text.casing import Casing
from kg.schema import Entity, Relation
from kg.writer import write_graph

UNCHANGED = 0.5
"""The value before the corrections of every feature that no condition reads."""


def changes(
    surface: str, *, label: bool = False, candidates: int = 2, same: bool = False, person: bool = False
) -> dict[str, float]:
    """The features that are changed for a match, by name, with their new values. `label`: the match is the label of its
    last candidate; `same`: its span equals that of a named entity; `person`: NER labels that entity as a person.

    The match is the second of two; those of the first, which is one word with one candidate, must not change.
    """
    surfaces = ["York", surface]
    owners = np.asarray([0] + [1] * candidates)
    labels = np.zeros(len(owners), np.bool_)
    labels[-1] = label
    matches = Matches(
        np.asarray([0, 10]),
        np.asarray([4, 10 + len(surface)]),
        surfaces,
        owners,
        np.arange(len(owners)),
        np.ones(len(owners)),
        labels,
        np.zeros(len(owners), np.int8),
        np.zeros(2, np.bool_),
    )
    before = np.full((len(MATCH_FEATURES), 2), UNCHANGED)
    before[MATCH_FEATURES.index("log_words")] = np.log([1 + name.count(" ") for name in surfaces])
    before[MATCH_FEATURES.index("log_candidates")] = np.log([1, candidates])
    before[MATCH_FEATURES.index("name_same")] = same
    before[MATCH_FEATURES.index("name_person")] = person
    after, kind_clash = before.copy(), np.full(len(owners), UNCHANGED)
    correct_full_names(after, kind_clash, matches)
    assert np.array_equal(after[:, 0], before[:, 0])
    assert kind_clash[0] == UNCHANGED
    assert len(set(kind_clash[1:])) == 1
    changed = {
        name: float(new)
        for name, old, new in zip(MATCH_FEATURES, before[:, 1], after[:, 1], strict=True)
        if new != old
    }
    return changed | ({"kind_clash": float(kind_clash[-1])} if kind_clash[-1] != UNCHANGED else {})


@pytest.mark.parametrize(
    ("surface", "changed"),
    [
        ("20th Century Fox", True),
        ("24 hours in Rome", True),
        ("24 hours", False),
        ("1968", False),
        ("iPhone Pro", False),
    ],
)
def test_a_first_digit_counts_as_a_capital_if_a_word_is_capitalised(surface: str, changed: bool) -> None:
    assert changes(surface) == ({"capital": 1.0} if changed else {})


@pytest.mark.parametrize(
    ("surface", "label", "changed"),
    [
        ("Toy Story", True, True),
        ("The Toy Story", True, True),
        ("Toy Story", False, False),
        ("Toy story", True, False),
        ("The Story", True, False),
        ("Story", True, False),
    ],
)
def test_a_label_with_two_capitalised_words_is_not_common(surface: str, label: bool, changed: bool) -> None:
    assert changes(surface, label=label) == ({"common": 0.0, "capital_common": 0.0} if changed else {})


@pytest.mark.parametrize(
    ("surface", "same", "person", "changed"),
    [
        ("Barack Obama", True, True, True),
        ("Barack Obama", True, False, False),  # NER finds another kind of entity
        ("Barack Obama", False, True, False),  # NER's person has another span
        ("Obama", True, True, False),
    ],
)
def test_a_capitalised_word_before_a_person_is_not_part_of_the_name(
    surface: str, same: bool, person: bool, changed: bool
) -> None:
    expected = {"run_left": 0.0, "proper_left": 0.0} if changed else {}
    assert changes(surface, same=same, person=person) == expected


@pytest.mark.parametrize(
    ("surface", "candidates", "changed"),
    [("Newcastle United", 1, True), ("Newcastle United", 2, False), ("Newcastle", 1, False)],
)
def test_the_only_candidate_of_several_words_has_no_kind_clash(
    surface: str, candidates: int, changed: bool
) -> None:
    assert changes(surface, candidates=candidates) == ({"kind_clash": 0.0} if changed else {})


@pytest.fixture(scope="module")
def linker(tmp_path_factory: pytest.TempPathFactory) -> Linker:
    entities = [
        Entity("obama", "Barack Obama", ("Obama",), "American politician", ("person",), 6.0),
        Entity("newcastle", "Newcastle United F.C.", ("Newcastle United",), "club", ("football club",), 10.0),
        Entity("games", "1968 Summer Olympics", (), "sports event", ("event",), 3.0),
        Entity("fox", "20th Century Fox", (), "film studio", ("company",), 6.0),
        Entity("toys", "Toy Story", (), "1995 film", ("film",), 6.0),
        Entity("electric", "General Electric", (), "company", ("company",), 6.0),
        Entity("most", "America", (), "country", ("country",), 100.0),
    ]
    folder: Path = tmp_path_factory.mktemp("full-names")
    graph = write_graph(folder, entities, [Relation("in", "in")], {"train": []})
    words = ("toy", "story", "general", "electric")
    return Linker.build(graph, Casing(dict.fromkeys(words, 0.6)))


@pytest.mark.parametrize(
    ("before", "name", "after", "label", "entity"),
    [
        ("Senator ", "Barack Obama", " won.", "PERSON", "obama"),
        ("Democrat ", "Barack Obama", " carried the county.", "PERSON", "obama"),
        ("It defeated ", "Newcastle United", " in the final.", "PERSON", "newcastle"),
        ("He competed in the ", "1968 Summer Olympics", ".", "DATE", "games"),
        ("", "20th Century Fox", " released it.", "", "fox"),
        ("We saw ", "Toy Story", " together.", "PERSON", "toys"),
        ("", "General Electric", " sold it.", "", "electric"),
    ],
)
def test_full_names_are_linked_with_the_corrections_only(
    linker: Linker, before: str, name: str, after: str, label: str, entity: str
) -> None:
    text, start, end = before + name + after, len(before), len(before + name)
    proper = Span(0, end) if label == "PERSON" and entity == "obama" else Span(start, end)
    names = (Name(start, end, label),) if label else ()
    annotation = Annotations((Span(0, len(text)),), (Span(start, end),), (proper,), names)
    (mention,) = linker.link(text, annotation)
    assert (mention.start, mention.end, mention.entity) == (start, end, entity)
    with mock.patch("kepipe.linking.features.describe.correct_full_names"):
        assert not linker.link(text, annotation)
