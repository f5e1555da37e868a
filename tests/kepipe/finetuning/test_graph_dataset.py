"""Graph datasets: every question has one answer in the graph, and splits share no entity."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kepipe.finetuning.graph_dataset import GraphDataset, Limits, make_classification, make_typing
from kepipe.stages.graph_dataset import ENGLISH, ENGLISH_TYPES, GraphDatasetConfig
from kg.schema import Entity, Relation, Triple
from kg.store import Graph, open_graph
from kg.writer import write_graph

FIELDS = ("physics", "music", "law")


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    """60 people with one field each, the last ten with two; half of them with a town."""
    people = [Entity(f"p{number}", f"Person {number}", types=("person",)) for number in range(60)]
    things = [Entity(name, name.title()) for name in (*FIELDS, "north", "south", "rare")]
    facts = [Triple(f"p{number}", "field", FIELDS[number % 3]) for number in range(60)]
    facts += [Triple(f"p{number}", "town", ("north", "south")[number // 2 % 2]) for number in range(0, 60, 2)]
    facts.append(Triple("p1", "town", "rare"))
    later = [Triple(f"p{number}", "field", FIELDS[(number + 1) % 3]) for number in range(50, 60)]
    folder: Path = tmp_path_factory.mktemp("graph")
    relations = [Relation("field", "field of work"), Relation("town", "town")]
    write_graph(folder, [*people, *things], relations, {"train": facts, "test": later})
    return open_graph(folder)


def dataset(graph: Graph, seed: int = 0, **changes: object) -> GraphDataset:
    return make_classification(graph, ENGLISH, np.random.default_rng(seed), Limits(fewest=5, **changes))  # type: ignore[arg-type]


def test_graph_dataset_answers_are_the_only_object_of_a_triple(graph: Graph) -> None:
    made = dataset(graph)
    assert made.asked == {"field of work": 50, "town": 30}
    for questions in made.splits.values():
        for question in questions:
            at = question.mention
            number = int(at.entity[1:])
            assert question.text[at.start : at.end] == f"Person {number}"
            if "field of work" in question.text:
                assert question.answers == (FIELDS[number % 3].title(),)
                assert number < 50
            else:
                assert question.answers == (("North", "South")[number // 2 % 2],)


@given(seed=st.integers(0, 2**32 - 1))
def test_graph_dataset_splits_share_no_entity(graph: Graph, seed: int) -> None:
    parts = [{q.mention.entity for q in questions} for questions in dataset(graph, seed).splits.values()]
    assert sum(map(len, parts)) == len(set.union(*parts))
    assert [len(part) for part in parts[1:]] == [round(0.1 * 55), round(0.3 * 55)]


def test_frequent_answers_are_capped_and_relations_selected(graph: Graph) -> None:
    made = dataset(graph, most=6, relations=["town"])
    answers = [q.answers[0] for questions in made.splits.values() for q in questions]
    assert sorted(answers) == ["North"] * 6 + ["South"] * 6


def test_graph_without_questions_is_rejected(graph: Graph) -> None:
    with pytest.raises(ValueError, match="has 0 answers that 500 or more entities share"):
        make_classification(graph, ENGLISH, np.random.default_rng(0), Limits(fewest=500))


def test_graph_dataset_is_deterministic_for_a_seed(graph: Graph) -> None:
    assert dataset(graph, 3) == dataset(graph, 3)
    assert dataset(graph, 3) != dataset(graph, 4)


def test_typing_dataset_has_all_types_of_an_entity(graph: Graph) -> None:
    """Its type in the graph and its towns, but not "Rare", which one entity has; fields are no types."""
    made = make_typing(graph, ENGLISH_TYPES, np.random.default_rng(0), Limits(["town"], fewest=5))
    assert made.asked == {"person": 60, "North": 15, "South": 15}
    for questions in made.splits.values():
        for question in questions:
            at, number = question.mention, int(question.mention.entity[1:])
            assert question.text[at.start : at.end] == f"Person {number}"
            town = () if number % 2 else (("North", "South")[number // 2 % 2],)
            assert question.answers == (*town, "person")


@given(seed=st.integers(0, 2**32 - 1), most=st.integers(2, 70))
def test_typing_uses_each_entity_once_and_caps_types(graph: Graph, seed: int, most: int) -> None:
    made = make_typing(graph, ENGLISH_TYPES, np.random.default_rng(seed), Limits(["field"], 5, most))
    entities = [q.mention.entity for questions in made.splits.values() for q in questions]
    assert len(entities) == len(set(entities)) == made.asked["person"]
    assert all(made.asked[field.title()] >= min(most, 20) for field in FIELDS)
    assert made.asked["person"] <= 3 * most
    assert [len(made.splits[name]) for name in ("dev", "test")] == [
        round(share * len(entities)) for share in (0.1, 0.3)
    ]


def test_impossible_typing_dataset_is_rejected(graph: Graph) -> None:
    with pytest.raises(ValueError, match="has 1 type that 30 or more entities have"):
        make_typing(graph, ENGLISH_TYPES, np.random.default_rng(0), Limits(["town"], fewest=30))
    with pytest.raises(ValueError, match="has no relations"):
        GraphDatasetConfig(ask="types", templates=["The {relation} of {name}"])
