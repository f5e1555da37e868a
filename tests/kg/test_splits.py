"""Held-out triples: their entities and relations are in training, their inverses are not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kg.splits import hold_out
from kg.store import Triples

facts = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 2), st.integers(0, 12)), min_size=1, max_size=120
)


def as_set(triples: Triples) -> set[tuple[int, ...]]:
    return {tuple(triple) for triple in triples.tolist()}


@given(facts, st.integers(0, 5))
@settings(deadline=None)
def test_held_out_triples_have_known_entities_and_no_leaks(
    drawn: list[tuple[int, int, int]], seed: int
) -> None:
    triples = np.array(sorted(set(drawn)), np.int32)
    parts = hold_out(triples, np.random.default_rng(seed), 0.1, 0.2)
    assert sorted(np.concatenate(list(parts.values())).tolist()) == sorted(triples.tolist())
    train = parts["train"]
    pairs = {frozenset((head, tail)) for head, _, tail in train.tolist()}
    for head, relation, tail in [*parts["valid"].tolist(), *parts["test"].tolist()]:
        assert {head, tail} <= {*train[:, 0].tolist(), *train[:, 2].tolist()}
        assert relation in train[:, 1]
        assert frozenset((head, tail)) not in pairs
    assert len(parts["valid"]) <= 0.1 * len(triples)
    assert len(parts["valid"]) + len(parts["test"]) <= 0.3 * len(triples)


def test_shares_are_exact_if_enough_triples_can_be_held_out() -> None:
    rng = np.random.default_rng(0)
    triples = np.unique(rng.integers(0, [200, 3, 200], (5000, 3)), axis=0).astype(np.int32)
    parts = hold_out(triples, np.random.default_rng(1), 0.05, 0.1)
    assert len(parts["valid"]) == pytest.approx(0.05 * len(triples), abs=3)
    assert len(parts["test"]) == pytest.approx(0.10 * len(triples), abs=3)
    default = hold_out(triples, np.random.default_rng(1))
    assert len(default["valid"]) == pytest.approx(0.05 * len(triples), abs=3)
    assert len(default["test"]) == pytest.approx(0.05 * len(triples), abs=3)
    other = hold_out(triples, np.random.default_rng(2), 0.05, 0.1)
    assert as_set(other["test"]) != as_set(parts["test"])
    same = hold_out(triples, np.random.default_rng(1), 0.05, 0.1)
    assert all(np.array_equal(same[split], parts[split]) for split in parts)


def test_nothing_can_be_held_out_of_a_chain() -> None:
    chain = np.array([[row, 0, row + 1] for row in range(10)], np.int32)
    parts = hold_out(chain, np.random.default_rng(0), 0.2, 0.2)
    held = len(parts["valid"]) + len(parts["test"])
    known = {*parts["train"][:, 0].tolist(), *parts["train"][:, 2].tolist()}
    assert known == set(range(11))
    assert held <= 4


def test_an_empty_graph_has_empty_splits() -> None:
    parts = hold_out(np.zeros((0, 3), np.int32), np.random.default_rng(0))
    assert [len(part) for part in parts.values()] == [0, 0, 0]


def test_pairs_of_entities_are_held_out_one_by_one() -> None:
    """Of a triangle any side may be held out, whatever other pairs there are; a loop without other facts never."""
    sides = np.array([[0, 0, 2], [2, 0, 3], [0, 0, 3], [1, 0, 1]], np.int32)
    held = set[tuple[int, ...]]()
    for seed in range(60):
        held |= as_set(hold_out(sides, np.random.default_rng(seed), 0.0, 1.0)["test"])
    assert held == as_set(sides[:3])


def test_shares_of_nothing_hold_nothing_out() -> None:
    triples = np.array([[0, 0, 1], [1, 0, 2], [2, 0, 0]], np.int32)
    parts = hold_out(triples, np.random.default_rng(0), 0.0, 0.0)
    assert [len(part) for part in parts.values()] == [3, 0, 0]
