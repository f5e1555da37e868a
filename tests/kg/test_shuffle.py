"""Shuffled graphs: the same degrees, and almost no true triple."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kg import shuffle
from kg.schema import Entity, Relation, Triple
from kg.shuffle import _among, _apart, _Keys, shuffle_graph, shuffle_objects
from kg.store import Triples, open_graph
from kg.writer import GraphWriter, write_graph


def shape(triples: Triples) -> tuple[Counter[tuple[int, int]], Counter[tuple[int, int]]]:
    """The number of triples of each (head, relation), and of each (relation, object)."""
    rows = triples.tolist()
    return Counter((h, r) for h, r, _ in rows), Counter((r, t) for _, r, t in rows)


def distinct(triples: Triples) -> set[tuple[int, ...]]:
    return {tuple(triple) for triple in triples.tolist()}


triples = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 2), st.integers(0, 6)), max_size=40, unique=True
).map(lambda rows: np.array(sorted(rows), np.int32).reshape(-1, 3))


@settings(max_examples=100, deadline=None)
@given(triples, st.integers(0, 3))
def test_the_shape_is_kept_and_triples_stay_distinct(rows: Triples, seed: int) -> None:
    shuffled = shuffle_objects(rows, np.random.default_rng(seed))
    assert shape(shuffled) == shape(rows)
    assert len(distinct(shuffled)) == len(rows)
    assert (shuffled[:, :2] == rows[:, :2]).all()
    again = shuffle_objects(rows, np.random.default_rng(seed))
    assert (again == shuffled).all()


def test_no_triple_stays_true_if_enough_can_be_exchanged() -> None:
    rng = np.random.default_rng(0)
    rows = np.stack([np.arange(3000), rng.integers(0, 3, 3000), rng.integers(3000, 3040, 3000)], 1).astype(
        np.int32
    )
    shuffled = shuffle_objects(rows, rng)
    assert not distinct(shuffled) & distinct(rows)


def test_objects_are_distributed_uniformly_over_their_relation() -> None:
    """A ring of 5: the first triple gets the object of each other triple in a quarter of all draws."""
    rows = np.stack([np.arange(5), np.zeros(5), np.arange(5) + 5], 1).astype(np.int32)
    draws = [int(shuffle_objects(rows, np.random.default_rng(seed))[0, 2]) for seed in range(800)]
    counts = Counter(draws)
    assert 5 not in counts
    assert all(150 < counts[object] < 250 for object in range(6, 10)), counts


def test_rounds_continue_while_exchanges_succeed() -> None:
    """Half of all possible triples are true, so few pairs can be exchanged per round; ten rounds are not enough."""
    rng = np.random.default_rng(0)
    heads, objects = np.nonzero(rng.random((20, 20)) < 0.5)
    rows = np.stack([heads, np.zeros_like(heads), objects], 1).astype(np.int32)
    shuffled = shuffle_objects(rows, rng)
    assert len(distinct(shuffled)) == len(rows)
    assert len(distinct(shuffled) & distinct(rows)) < len(rows) / 3


def test_triples_that_cannot_be_exchanged_stay() -> None:
    rows = np.array([[0, 0, 9], [1, 0, 9], [2, 1, 7]], np.int32)
    assert (shuffle_objects(rows, np.random.default_rng(0)) == rows).all()
    assert shuffle_objects(np.zeros((0, 3), np.int32), np.random.default_rng(0)).shape == (0, 3)


def test_the_store_differs_only_in_its_triples(tmp_path: Path) -> None:
    entities = [Entity(f"e{n}", f"name {n}", (f"alias {n}",), "what", ("kind",), float(n)) for n in range(8)]
    facts = {
        "train": [Triple(f"e{n}", "r", f"e{(n + 1) % 8}") for n in range(8)],
        "test": [Triple("e0", "r", "e5"), Triple("e2", "r", "e7")],
    }
    graph = write_graph(tmp_path / "true", entities, [Relation("r", "relation")], facts)
    counts = shuffle_graph(graph, GraphWriter(tmp_path / "false"), np.random.default_rng(1))
    other = open_graph(tmp_path / "false")
    assert counts == {"triples": 10, "unchanged": 0}
    assert [other.entity(row) for row in range(8)] == [graph.entity(row) for row in range(8)]
    assert other.relations == graph.relations
    assert other.describe() == graph.describe()
    assert other.digest != graph.digest
    for split in ("train", "test"):
        assert shape(other.triples(split)) == shape(graph.triples(split))
        assert not distinct(other.triples(split)) & distinct(graph.triples(split))


@pytest.mark.parametrize("seed", [0, 1])
def test_seeds_differ(seed: int) -> None:
    rows = np.stack([np.arange(50), np.zeros(50), np.arange(50) + 50], 1).astype(np.int32)
    one, other = (shuffle_objects(rows, np.random.default_rng(s)) for s in (seed, seed + 1))
    assert (one != other).any()


def noted_rounds(rows: Triples, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of pairs of each round."""
    pairs: list[int] = []
    exchange = shuffle._exchange

    def noted(*given: Any) -> int:
        pairs.append(len(given[3]))
        return exchange(*given)

    monkeypatch.setattr(shuffle, "_exchange", noted)
    shuffle_objects(rows, np.random.default_rng(0))
    return pairs


def test_five_rounds_are_for_all_triples_and_the_others_for_true_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    rows = np.stack([np.arange(3000), rng.integers(0, 3, 3000), rng.integers(3000, 3040, 3000)], 1)
    pairs = noted_rounds(rows.astype(np.int32), monkeypatch)
    assert [number > 500 for number in pairs] == [True] * 5 + [False] * (len(pairs) - 5)
    assert 5 < len(pairs) < 15


def test_ten_rounds_without_an_exchange_end_the_shuffling(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.array([[0, 0, 9], [1, 0, 9], [2, 1, 7]], np.int32)
    assert len(noted_rounds(rows, monkeypatch)) == 10


def test_triples_have_distinct_keys() -> None:
    cube = np.stack(np.meshgrid(np.arange(4), np.arange(3), np.arange(4)), -1).reshape(-1, 3)
    assert len(np.unique(_Keys.of(cube).pack(cube))) == 48
    assert _among(np.array([0, 1, 3, 5, 9]), np.array([1, 5])).tolist() == [False, True, False, True, False]


def test_pairs_of_a_round_share_no_triple() -> None:
    rng = np.random.default_rng(0)
    one, other = _apart(np.arange(100), rng.integers(0, 100, 100), rng)
    assert len({*one.tolist(), *other.tolist()}) == 2 * len(one) > 40
