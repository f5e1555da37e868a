"""What an entity is, by its types and its description."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kepipe.linking.features import agree
from kepipe.linking.kinds import KINDS, kind_of, kinds
from kg.schema import Entity
from kg.writer import write_graph


@pytest.mark.parametrize(
    ("description", "kind"),
    [
        ("Ray is a 2004 American biographical film directed by Taylor Hackford.", "work"),
        ("Clarence Brown III is an American film, television and voice actor.", "person"),
        ("Vicenza, a city in north-eastern Italy, is the capital of the province.", "place"),
        ("Muse are an English rock band from Teignmouth, formed in 1994.", "organisation"),
        ("Norwegian is a North Germanic language spoken primarily in Norway.", "people"),
        ("American actor (1950-2001)", "person"),
        ("Ecology is the scientific study of interactions among organisms.", "none"),
        ("", "none"),
    ],
)
def test_the_noun_after_is_tells_the_kind(description: str, kind: str) -> None:
    assert KINDS[kind_of(description)] == kind


def test_types_come_first_and_concepts_have_no_kind(tmp_path: Path) -> None:
    entities = [
        Entity("a", "Paris", (), "A film is a film.", ("city",), 0.0),
        Entity("b", "actor", (), "An actor is a person who acts.", (), 0.0),
        Entity("c", "Ray", (), "Ray is a film.", (), 0.0),
    ]
    graph = write_graph(tmp_path / "graph", entities, [], {"train": []})
    assert [KINDS[kind] for kind in kinds(graph)] == ["place", "none", "work"]


def test_a_nationality_agrees_with_a_place_in_its_own_way() -> None:
    place, person, people = (KINDS.index(kind) for kind in ("place", "person", "people"))
    groups = np.asarray([place, person, people, 0, place])
    same, clash, nation = agree(groups, np.asarray([place, place, place, place, 0]))
    assert (same.tolist(), clash.tolist(), nation.tolist()) == (
        [1, 0, 0, 0, 0],
        [0, 1, 0, 0, 0],
        [0, 0, 1, 0, 0],
    )
