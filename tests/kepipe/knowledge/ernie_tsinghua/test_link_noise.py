"""Corrupted links: shares, and which entity a wrong one leads to."""

from __future__ import annotations

import numpy as np
from scipy.stats import binomtest, chisquare

from kepipe.knowledge.ernie_tsinghua.link_noise import (
    KEEP,
    REMOVE,
    change_links,
    draw_links,
    draw_links_of_batch,
)


def test_shares_are_those_of_the_paper() -> None:
    links = np.random.default_rng(0).integers(0, 1000, (200, 200))
    change = draw_links(links, 1000, np.random.default_rng(1))
    counts = [(change >= 0).sum(), (change == REMOVE).sum(), (change == KEEP).sum()]
    assert chisquare(counts, np.array([0.05, 0.15, 0.80]) * links.size).pvalue > 0.001


def test_another_entity_is_uniform_over_the_graph_and_never_the_same() -> None:
    links = np.full((300, 300), 3)
    change = draw_links(links, 7, np.random.default_rng(0), replaced=1.0, removed=0.0)
    counts = np.bincount(change.ravel(), minlength=7)
    assert counts[3] == 0
    assert chisquare(np.delete(counts, 3)).pvalue > 0.001


def test_the_released_behaviour_draws_from_the_batch_itself_included() -> None:
    links = np.array([[-1, 4, 4, 4, 9, 30] * 500])
    change = draw_links_of_batch(links, np.random.default_rng(0), replaced=1.0, removed=0.0)
    counts = np.bincount(change.ravel(), minlength=31)
    assert set(np.flatnonzero(counts)) == {4, 9, 30}
    assert chisquare(counts[[4, 9, 30]]).pvalue > 0.001
    shares = draw_links_of_batch(links, np.random.default_rng(1))
    assert binomtest(int((shares >= 0).sum()), links.size, 0.05).pvalue > 0.001
    assert binomtest(int((shares == REMOVE).sum()), links.size, 0.15).pvalue > 0.001


def test_a_graph_of_one_entity_and_a_batch_without_links_change_nothing_else() -> None:
    links = np.zeros((4, 50), dtype=np.int64)
    assert set(draw_links(links, 1, np.random.default_rng(0)).ravel()) == {KEEP, REMOVE}
    none = np.full((4, 50), -1)
    assert set(draw_links_of_batch(none, np.random.default_rng(0)).ravel()) == {KEEP, REMOVE}
    assert draw_links(none, 9, np.random.default_rng(0)).max() < 9


def test_rendering_by_hand() -> None:
    links = np.array([[-1, 5, 6, 7, -1]])
    change = np.array([[3, KEEP, REMOVE, 2, REMOVE]])
    assert change_links(links, change).tolist() == [[-1, 5, -1, 2, -1]]
