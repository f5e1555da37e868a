"""BART's text infilling: spans of words of Poisson length, each replaced by one mask; an empty span inserts a mask."""

from __future__ import annotations

import math

import numpy as np

from kepipe.arrays import Floats, Ints, pad
from kepipe.noise.draws import Draws


def draw_infilling(words_B: Ints, share: float, mean: float, draws: Draws) -> tuple[Ints, Ints]:
    """Spans that cover exactly ceil(share · words) words of each row: first word and length, int [B, M] each.

    Lengths are Poisson; the last one is truncated to the remaining words. Spans are sorted and not adjacent; a span of
    length 0 is before the word `start`, which may be the end of the row. Absent spans have start −1.
    """
    rows = len(words_B)
    cover_B = np.ceil(share * words_B).astype(np.int64)
    most = int(cover_B.max(initial=0))
    if most == 0:
        return np.zeros((rows, 0), dtype=np.int64), np.zeros((rows, 0), dtype=np.int64)
    # twice the expected number of spans and 32 more, so that they practically always suffice
    length_BM = np.searchsorted(
        poisson(mean), draws.random((rows, math.ceil(2 * most / mean) + 32)), side="right"
    )
    before_BM = np.cumsum(length_BM, axis=1) - length_BM
    count_B = (before_BM < cover_B[:, None]).sum(axis=1)
    length_BM = np.minimum(length_BM, cover_B[:, None] - before_BM)

    # There is a gap before each kept word, and one after the last. Each span goes into a gap of its own.
    gaps_B = words_B - cover_B + 1
    count_B = np.minimum(count_B, gaps_B)
    keys = draws.random((rows, int(gaps_B.max())))
    keys[np.arange(keys.shape[1]) >= gaps_B[:, None]] = np.inf
    M = int(count_B.max())
    present_BM = np.arange(M) < count_B[:, None]
    length_BM = np.where(present_BM, length_BM[:, :M], 0)
    # if there are too few gaps or drawn spans, the last span takes the remaining words
    length_BM[np.arange(rows), count_B - 1] += cover_B - length_BM.sum(axis=1)
    gap_BM = np.where(present_BM, np.argsort(keys, axis=1)[:, :M], keys.shape[1])
    order = np.argsort(gap_BM, axis=1, kind="stable")
    gap_BM, length_BM = (
        np.take_along_axis(gap_BM, order, axis=1),
        np.take_along_axis(length_BM, order, axis=1),
    )
    start_BM = gap_BM + np.cumsum(length_BM, axis=1) - length_BM
    return np.where(present_BM, start_BM, -1), length_BM


def poisson(mean: float) -> Floats:
    """P(X ≤ 0), P(X ≤ 1), … of a Poisson variable, up to a tail probability of 1e-16."""
    last = math.ceil(mean + 12 * math.sqrt(mean) + 20)
    terms = [math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(last)]
    return np.cumsum(terms)


def infill(tokens_BT: Ints, words_BT: Ints, start_BM: Ints, length_BM: Ints, mask: int) -> tuple[Ints, Ints]:
    """Replace each span of words by one mask; rows padded with −1, and their lengths: int [B, S], int [B].

    `words_BT` numbers each row's words from 0, −1 beyond its end.
    """
    rows, width = words_BT.shape
    text_BT = words_BT >= 0
    ends_B = words_BT.max(axis=1, initial=-1) + 1
    present = start_BM >= 0
    row = np.nonzero(present)[0]
    shape = (rows, int(ends_B.max(initial=0)) + 2)
    opens, covers = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    np.add.at(opens, (row, start_BM[present]), 1)
    np.add.at(covers, (row, start_BM[present]), 1)
    np.add.at(covers, (row, start_BM[present] + length_BM[present]), -1)
    covered = np.cumsum(covers, axis=1) > 0

    # One slot per token and one for the end of the row: the masks that start there, then the token if it is kept.
    slots = np.zeros((rows, width + 1), dtype=np.int64)
    slots[:, :width] = np.maximum(words_BT, 0)
    heads = np.zeros(slots.shape, dtype=np.bool_)
    heads[:, :width] = text_BT
    heads[:, 1:width] &= words_BT[:, 1:] != words_BT[:, :-1]
    lengths_B = text_BT.sum(axis=1)
    slots[np.arange(rows), lengths_B] = ends_B
    heads[np.arange(rows), lengths_B] = True
    masks = np.where(heads, np.take_along_axis(opens, slots, axis=1), 0)
    stays = np.zeros(slots.shape, dtype=np.bool_)
    stays[:, :width] = text_BT & ~np.take_along_axis(covered, slots[:, :width], axis=1)

    written = (masks + stays).ravel()
    flat = np.full(int(written.sum()), mask, dtype=np.int64)
    staying = stays.ravel()
    flat[(np.cumsum(written) - 1)[staying]] = tokens_BT[stays[:, :width]]
    lengths = (masks + stays).sum(axis=1)
    return pad(flat, lengths, -1), lengths
