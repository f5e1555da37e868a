"""The kind of an entity, by its types and its description."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kepipe.linking.features.affinity import kind_agreement
from kepipe.linking.kb.kinds import KINDS, kind_of, kinds, occupations
from kg.schema import Entity, Relation, Triple
from kg.writer import write_graph


@pytest.mark.parametrize(
    ("description", "kind"),
    [
        ("Ray is a 2004 American biographical film directed by Taylor Hackford.", "work"),
        ("Clarence Brown III is an American film, television and voice actor.", "person"),
        ("Vicenza, a city in north-eastern Italy, is the capital of the province.", "place"),
        ("Muse are an English rock band from Teignmouth, formed in 1994.", "organisation"),
        ("Norwegian is a North Germanic language spoken primarily in Norway.", "language"),
        ("American actor (1950-2001)", "person"),
        ("Ecology is the scientific study of interactions among organisms.", "none"),
        ("", "none"),
    ],
)
def test_the_noun_after_is_gives_the_kind(description: str, kind: str) -> None:
    assert KINDS[kind_of(description)] == kind


def test_types_come_first_and_concepts_have_no_kind(tmp_path: Path) -> None:
    entities = [
        Entity("a", "Paris", (), "A film is a film.", ("city",), 0.0),
        Entity("b", "actor", (), "An actor is a person who acts.", (), 0.0),
        Entity("c", "Ray", (), "Ray is a film.", (), 0.0),
    ]
    graph = write_graph(tmp_path / "graph", entities, [], {"train": []})
    assert [KINDS[kind] for kind in kinds(graph)] == ["place", "none", "work"]


def test_occupation_entities_are_detected(tmp_path: Path) -> None:
    entities = [
        Entity("a", "film actor", (), "", (), 0.0),
        Entity("b", "mangaka", (), "Mangaka is the Japanese word for a comic artist or cartoonist.", (), 0.0),
        Entity("c", "carpentry", (), "Carpentry is a skilled trade.", (), 0.0),
        Entity("d", "dean", (), "", ("academic position",), 0.0),
        Entity("e", "sheriff", (), "A sheriff is a law enforcement officer with a duty.", (), 0.0),
        Entity("f", "Prime Actor", (), "An actor.", (), 0.0),
        Entity("g", "talent agency", (), "A talent agency is a company that finds jobs for actors.", (), 0.0),
    ]
    graph = write_graph(tmp_path / "graph", entities, [], {"train": []})
    assert np.asarray(graph.ids)[occupations(graph)].tolist() == ["a", "d", "e"]


def test_a_nationality_and_a_place_are_a_separate_kind_of_agreement() -> None:
    place, person, people = (KINDS.index(kind) for kind in ("place", "person", "people"))
    groups = np.asarray([place, person, people, 0, place])
    same, conflict, nation = kind_agreement(groups, np.asarray([place, place, place, place, 0]))
    assert (same.tolist(), conflict.tolist(), nation.tolist()) == (
        [1, 0, 0, 0, 0],
        [0, 1, 0, 0, 0],
        [0, 0, 1, 0, 0],
    )


def test_unknown_kinds_are_inferred_from_roles_in_triples(tmp_path: Path) -> None:
    towns = [Entity(f"t{number}", f"Town {number}", (), "It is a town.") for number in range(9)]
    silent = Entity("x", "Brooklyn", (), "Brooklyn is coterminous with Kings County.")
    odd = Entity("y", "Eiffel", (), "")
    idea = Entity("z", "urbanism", (), "")
    facts = [Triple(town.id, "twin", "t0") for town in (*towns, silent, idea)]
    facts += [Triple("y", "twin", "t1"), Triple("y", "wrote", "t1")]  # nothing is known of those who wrote
    graph = write_graph(
        tmp_path / "graph",
        [*towns, silent, odd, idea],
        [Relation("twin", "twin"), Relation("wrote", "wrote")],
        {"train": facts},
    )
    found = dict(zip(graph.ids, kinds(graph).tolist(), strict=True))
    assert KINDS[found["x"]] == "place"
    assert KINDS[found["y"]] == KINDS[found["z"]] == "none"
