"""Corrupted links: rates, and the distribution of wrong entities."""

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


def test_link_noise_rates_are_those_of_the_paper() -> None:
    links = np.random.default_rng(0).integers(0, 1000, (200, 200))
    change = draw_links(links, 1000, np.random.default_rng(1))
    counts = [(change >= 0).sum(), (change == REMOVE).sum(), (change == KEEP).sum()]
    assert chisquare(counts, np.array([0.05, 0.15, 0.80]) * links.size).pvalue > 0.001


def test_replacement_entity_is_uniform_over_all_others() -> None:
    links = np.full((300, 300), 3)
    change = draw_links(links, 7, np.random.default_rng(0), replaced=1.0, removed=0.0)
    counts = np.bincount(change.ravel(), minlength=7)
    assert counts[3] == 0
    assert chisquare(np.delete(counts, 3)).pvalue > 0.001


def test_upstream_draws_replacements_from_the_batch() -> None:
    links = np.array([[-1, 4, 4, 4, 9, 30] * 500])
    change = draw_links_of_batch(links, np.random.default_rng(0), replaced=1.0, removed=0.0)
    counts = np.bincount(change.ravel(), minlength=31)
    assert set(np.flatnonzero(counts)) == {4, 9, 30}
    assert chisquare(counts[[4, 9, 30]]).pvalue > 0.001
    shares = draw_links_of_batch(links, np.random.default_rng(1))
    assert binomtest(int((shares >= 0).sum()), links.size, 0.05).pvalue > 0.001
    assert binomtest(int((shares == REMOVE).sum()), links.size, 0.15).pvalue > 0.001


def test_link_noise_with_one_entity_or_no_links() -> None:
    links = np.zeros((4, 50), dtype=np.int64)
    assert set(draw_links(links, 1, np.random.default_rng(0)).ravel()) == {KEEP, REMOVE}
    none = np.full((4, 50), -1)
    assert set(draw_links_of_batch(none, np.random.default_rng(0)).ravel()) == {KEEP, REMOVE}
    assert draw_links(none, 9, np.random.default_rng(0)).max() < 9


def test_change_links_by_hand() -> None:
    links = np.array([[-1, 5, 6, 7, -1]])
    change = np.array([[3, KEEP, REMOVE, 2, REMOVE]])
    assert change_links(links, change).tolist() == [[-1, 5, -1, 2, -1]]
