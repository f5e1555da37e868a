"""New entities start at positions given by their neighbours, in rounds; known ones stay to the bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kg.inductive import InductiveTraining
from kg.inductive_start import place_by_neighbours
from kg.warm_start import WarmStart
from tests.support.graphs import numbered_graph

pytest.importorskip("dgl")


def chain(length: int) -> np.ndarray:
    """e0 → e1 → e2 → …, by r0."""
    return np.array([[row, 0, row + 1] for row in range(length - 1)], np.int32)


def test_few_known_entities_give_the_mean_of_translated_neighbours(tmp_path: Path) -> None:
    graph = numbered_graph(
        tmp_path, 5, 2, train=np.array([[0, 0, 1], [0, 0, 2], [1, 0, 2], [2, 0, 3], [3, 1, 4]])
    )
    start = WarmStart(
        np.array([0, 1]),
        np.array([[0, 0], [1, 5]], np.float32),
        np.array([0]),
        np.array([[10, 0]], np.float32),
    )
    placed = place_by_neighbours(start, graph, seed=0)
    table = dict(zip(placed.start.entity_rows.tolist(), placed.start.entities.tolist(), strict=True))
    assert table[0] == [0, 0]
    assert table[1] == [1, 5]
    np.testing.assert_allclose(table[2], [(0 + 10 + 1 + 10) / 2, (0 + 5) / 2], rtol=1e-6)
    np.testing.assert_allclose(table[3], [table[2][0] + 10, table[2][1]], rtol=1e-6)  # by way of a new one
    assert 4 not in table  # its only relation has no vector
    assert (placed.by_known, placed.by_new) == (1, 1)


def test_trained_layer_places_a_new_entity(tmp_path: Path) -> None:
    """On a line of known steps a new entity belongs between its neighbours, and not where others are."""
    length = 60
    graph = numbered_graph(tmp_path, length, 1, train=chain(length))
    line = np.stack([np.arange(length), np.zeros(length)], axis=1).astype(np.float32)
    known = np.array([row for row in range(length) if row != 30])
    start = WarmStart(known, line[known], np.array([0]), np.array([[1, 0]], np.float32))
    settings = InductiveTraining(steps=20, negatives=32)
    placed = place_by_neighbours(start, graph, 0, settings)
    assert placed.start.entity_rows.tolist() == [*known.tolist(), 30]
    np.testing.assert_array_equal(placed.start.entities[:-1], line[known])
    np.testing.assert_allclose(placed.start.entities[-1], [30, 0], atol=0.5)
    again = place_by_neighbours(start, graph, 0, settings)
    np.testing.assert_array_equal(again.start.entities, placed.start.entities)


def test_without_new_entities_nothing_is_trained(tmp_path: Path) -> None:
    graph = numbered_graph(tmp_path, 3, 1, train=chain(3))
    start = WarmStart(
        np.arange(3), np.eye(3, 2, dtype=np.float32), np.array([0]), np.ones((1, 2), np.float32)
    )
    placed = place_by_neighbours(start, graph, 0, on_step=lambda *_: pytest.fail("trained"))
    assert placed.start is start
    assert (placed.by_known, placed.by_new) == (0, 0)
