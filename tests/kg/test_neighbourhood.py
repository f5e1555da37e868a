"""PageRank against networkx; samples and walks follow existing edges and are reproducible."""

from __future__ import annotations

import builtins
import sys
from itertools import pairwise
from typing import Any

import networkx as nx
import numpy as np
import pytest

from kg.neighbourhood import Neighbourhood, pool

pytest.importorskip("dgl")
ENTITIES, RELATIONS = 40, 3


@pytest.fixture
def triples() -> np.ndarray[Any, Any]:
    """Triples among the first 36 entities; the last four have none."""
    rng = np.random.default_rng(3)
    columns = [rng.integers(0, high, 90) for high in (36, RELATIONS, 36)]
    return np.unique(np.stack(columns, axis=1), axis=0).astype(np.int32)


@pytest.fixture
def around(triples: np.ndarray[Any, Any]) -> Neighbourhood:
    return Neighbourhood(triples, ENTITIES, RELATIONS)


def edges(triples: np.ndarray[Any, Any]) -> set[tuple[int, int, int]]:
    """Neighbour, direction, entity."""
    facts = triples.tolist()
    return {(h, r, t) for h, r, t in facts} | {(t, r + RELATIONS, h) for h, r, t in facts}


@pytest.mark.parametrize("damping", [0.85, 0.5])
@pytest.mark.parametrize("start", [[0], [0, 5, 5], [39]])
def test_pagerank_agrees_with_networkx(
    triples: np.ndarray[Any, Any], around: Neighbourhood, damping: float, start: list[int]
) -> None:
    oracle = nx.MultiDiGraph()
    oracle.add_nodes_from(range(ENTITIES))
    for head, _, tail in triples.tolist():
        oracle.add_edge(head, tail)
        oracle.add_edge(tail, head)
    restart = np.bincount(start, minlength=ENTITIES).astype(np.float64)
    expected = nx.pagerank(oracle, damping, personalization=dict(enumerate(restart)), max_iter=500, tol=1e-12)
    found = around.pagerank(restart, damping)
    assert found.sum() == pytest.approx(1)
    np.testing.assert_allclose(found, [expected[row] for row in range(ENTITIES)], atol=1e-8)


def test_pagerank_needs_restart_weights(around: Neighbourhood) -> None:
    for restart in (np.zeros(ENTITIES), np.full(ENTITIES, -1.0), np.ones(3)):
        with pytest.raises(ValueError, match="expected 40 weights"):
            around.pagerank(restart)


def test_samples_are_edges_up_to_the_limit(triples: np.ndarray[Any, Any], around: Neighbourhood) -> None:
    rows = np.array([0, 7, 39])
    drawn = around.sample(rows, 2, seed=1)
    assert {tuple(edge) for edge in drawn.tolist()} <= edges(triples)
    counts = np.bincount(drawn[:, 2], minlength=ENTITIES)
    assert counts[rows].tolist() == np.minimum(around.degrees[rows], 2).tolist()
    everything = around.sample(np.arange(ENTITIES), -1, seed=1)
    assert {tuple(edge) for edge in everything.tolist()} == edges(triples)
    np.testing.assert_array_equal(drawn, around.sample(rows, 2, seed=1))
    assert any(not np.array_equal(drawn, around.sample(rows, 2, seed=seed)) for seed in range(2, 12))


def test_samples_are_uniform(triples: np.ndarray[Any, Any], around: Neighbourhood) -> None:
    row = int(around.degrees.argmax())
    degree = int(around.degrees[row])
    draws = 600
    found = np.concatenate([around.sample(np.array([row]), 1, seed) for seed in range(draws)])
    _, counts = np.unique(found, axis=0, return_counts=True)
    expected = draws / degree
    # Pearson's statistic has mean degree − 1 and variance 2 (degree − 1).
    chi2 = ((counts - expected) ** 2 / expected).sum() + (degree - len(counts)) * expected
    assert chi2 < degree - 1 + 5 * np.sqrt(2 * (degree - 1))


def test_walks_follow_edges(triples: np.ndarray[Any, Any], around: Neighbourhood) -> None:
    walks = around.walk(np.array([0, 1, 2, 39] * 5), 6, seed=4)
    steps = {(a, b) for a, _, b in edges(triples)}
    assert walks.shape == (20, 7)
    assert (walks[3::4, 1:] == -1).all()
    for walk in walks[walks[:, 1] >= 0].tolist():
        assert all(step in steps for step in pairwise(walk))
    np.testing.assert_array_equal(walks, around.walk(np.array([0, 1, 2, 39] * 5), 6, seed=4))


@pytest.mark.parametrize("row", [-1, 40, 10**9])
def test_an_invalid_row_is_an_error(around: Neighbourhood, row: int) -> None:
    """DGL itself would crash."""
    for ask in (around.sample, around.walk):
        with pytest.raises(ValueError, match=f"row {row}: the graph has 40 entities"):
            ask(np.array([0, row]), 3, seed=0)


def test_pooling_is_a_weighted_mean() -> None:
    import torch

    messages = torch.tensor([[1.0, 0.0], [3.0, 6.0], [5.0, 5.0]])
    pooled = pool(messages, torch.tensor([0.0, np.log(3.0), 9.0]), torch.tensor([0, 0, 2]), 3)
    np.testing.assert_allclose(pooled.numpy(), [[2.5, 4.5], [0, 0], [5, 5]], rtol=1e-6)


def test_missing_dgl_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def fail(name: str, *rest: Any) -> Any:
        if name == "dgl":
            raise ModuleNotFoundError("No module named 'dgl'", name="dgl")
        return real(name, *rest)

    monkeypatch.delitem(sys.modules, "dgl", raising=False)
    monkeypatch.setattr(builtins, "__import__", fail)
    with pytest.raises(ModuleNotFoundError, match=r"need DGL.*pip install"):
        Neighbourhood(np.zeros((1, 3), np.int32), 2, 1)
