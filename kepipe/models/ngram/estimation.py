"""Estimation: probabilities and back-off weights of all n-grams from counts, written as they are computed.

Tables are read in order, a few million n-grams at a time. Only the probabilities of an order and of the order below,
the weights of the latter, and the counts needed for it and for pruning are held in memory as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kepipe.arrays import Bools, Floats, Ints
from kepipe.models.ngram.counting import BOS, Counts, Tick, continuations
from kepipe.models.ngram.pruning import Pruning
from kepipe.models.ngram.runs import Column, Run
from kepipe.models.ngram.smoothing import NOTHING, Contexts, Share, Smoothing
from kepipe.models.ngram.tables import NEVER, TableWriter

CHUNK = 1 << 21
"""Number of n-grams processed at a time, extended to the end of a context."""
HIGHEST = 7
"""Maximum count of which counts of counts are computed."""


@dataclass(frozen=True)
class Estimator:
    """Estimates a model; `k` is the setting of add-k."""

    counts: Counts
    smoothing: Smoothing
    pruning: Pruning
    k: float

    @property
    def words(self) -> int:
        """Number of predicted words: all except `<s>`."""
        return len(self.counts.unigrams) - 1

    def write(self, writer: TableWriter, tick: Tick = lambda _: None) -> None:
        """Write all orders. `tick` is called with the number of n-grams."""
        lower = self._unigrams()
        writer.words(np.log10(np.maximum(lower, 10.0**NEVER)).astype(np.float32))
        tick(len(lower))
        numbers = _Renumbering(None)
        for order in range(2, self.counts.order + 1):
            lower, numbers = self._order(order, lower, numbers, writer, tick)

    def adjusted(self, order: int) -> npt.NDArray[Any] | Column:
        """The counts from which an order is estimated: [M], in memory or memory-mapped."""
        if self.smoothing.continuation and order < self.counts.order:
            return continuations(self.counts, order)
        return self.counts.unigrams if order == 1 else self.counts.tables[order - 2].counts

    def _unigrams(self) -> Floats:
        """Probabilities of words, float [W]; the remaining mass is distributed evenly over all words, or over unseen
        ones when backing off."""
        raw = self.adjusted(1)[:].astype(np.float64)
        raw[BOS] = 0
        predicted = np.arange(len(raw)) != BOS
        if not (self.smoothing.lower or self.counts.order == 1):
            evenly: Floats = predicted / self.words
            return evenly
        share = self.smoothing.fit(_numbers([raw]), self.k)
        found = share(Contexts(raw, np.zeros(len(raw), np.int64), 1, self.words))
        left = 1 - found.sum()
        if self.smoothing.interpolated:
            found += predicted * (left / self.words)
            return found
        unseen = predicted & (raw == 0)
        found += unseen * (left / max(1, unseen.sum()))
        found /= found.sum()
        return found

    def _order(
        self, order: int, lower: Floats, numbers: _Renumbering, writer: TableWriter, tick: Tick
    ) -> tuple[Floats, _Renumbering]:
        """Write one order; returns its probabilities, and the new row of each n-gram after pruning."""
        counts, adjusted = self.counts, self.adjusted(order)
        table, size = counts.tables[order - 2], counts.size(order)
        last, pruned = order == counts.order, self.pruning.thresholds[order - 1] > 0
        share = self.smoothing.fit(_numbers(_chunks(adjusted)), self.k)
        kept_M = self._kept(table, order) if pruned else None
        left_C = np.ones(counts.size(order - 1), np.float64)
        found_M = np.empty(0 if last else size, np.float64)
        begins = counts.begins(order) if not self.smoothing.lower and not last else None
        writer.start(order, size if kept_M is None else int(kept_M.sum()))
        for rows, owners_N in self._contexts(order):
            first = int(owners_N[0])
            number = int(owners_N[-1]) - first + 1
            contexts = Contexts(adjusted[rows].astype(np.float64), owners_N - first, number, self.words)
            kept_N = None if kept_M is None else kept_M[rows]
            lower_N = lower[table.partners[rows]] if self.smoothing.lower else 1 / self.words
            at = slice(first, first + number)
            probabilities_N, left_C[at] = self._smooth(share, contexts, kept_N, lower_N)
            if begins is not None:  # a short context is complete only at the beginning of a text
                inside_N = _inside(rows, begins)
                probabilities_N = np.where(inside_N, probabilities_N, 1 / self.words)
                left_C[at][contexts.owners[~inside_N]] = 1.0
            if not last:
                found_M[rows] = probabilities_N
            self._append(writer, table.keys[rows], probabilities_N, numbers, kept_N)
            tick(len(owners_N))
        writer.weights(order - 1, numbers.select(left_C))
        return found_M, _Renumbering(kept_M)

    def _kept(self, table: Run, order: int) -> Bools:
        limit = self.pruning.thresholds[order - 1]
        kept = [counts_N > limit for counts_N in table.counts.stretches(CHUNK)]
        return np.concatenate(kept) if kept else np.zeros(0, np.bool_)

    def _smooth(
        self, share: Share, contexts: Contexts, kept_N: Bools | None, lower_N: Floats | float
    ) -> tuple[Floats, Floats]:
        """Probabilities of n-grams, and the back-off weight of each context."""
        held_N = share(contexts)
        if kept_N is not None:
            held_N = held_N * kept_N
        left_C = np.maximum(1 - contexts.total(held_N), 0)
        if self.smoothing.interpolated:
            return held_N + left_C[contexts.owners] * lower_N, left_C
        seen_N = np.broadcast_to(lower_N, held_N.shape) * (1 if kept_N is None else kept_N)
        free_C = 1 - contexts.total(seen_N)
        # A context that was seen with every word has no unseen words to back off to.
        alone_C = free_C < NOTHING
        scale_C = np.where(alone_C, 1 / np.maximum(1 - left_C, NOTHING), 1.0)
        return held_N * scale_C[contexts.owners], np.where(
            alone_C, 0.0, left_C / np.where(alone_C, 1, free_C)
        )

    def _append(
        self,
        writer: TableWriter,
        keys_N: Ints,
        probabilities_N: Floats,
        numbers: _Renumbering,
        kept_N: Bools | None,
    ) -> None:
        if kept_N is not None:
            keys_N, probabilities_N = keys_N[kept_N], probabilities_N[kept_N]
        bits = self.counts.bits
        if numbers.rows is not None:
            keys_N = (numbers.rows[keys_N >> bits].astype(np.int64) << bits) | (keys_N & ((1 << bits) - 1))
        writer.append(keys_N, np.log10(np.maximum(probabilities_N, 10.0**NEVER)).astype(np.float32))

    def _contexts(self, order: int) -> Iterator[tuple[slice, Ints]]:
        """Blocks of rows of an order that consist of whole contexts, with the row of each n-gram's context."""
        bits, table = self.counts.bits, self.counts.tables[order - 2]
        keys = table.keys.mapped
        start = 0
        while start < len(keys):
            stop = min(start + CHUNK, len(keys))
            if stop < len(keys):
                border = (int(keys[stop]) >> bits) << bits
                stop = int(np.searchsorted(keys, border))
                if stop <= start:
                    stop = int(np.searchsorted(keys, border + (1 << bits)))
            yield slice(start, stop), table.keys[start:stop] >> bits
            start = stop


class _Renumbering:
    """Rows of a table → rows after pruning; `rows` is None if nothing was pruned."""

    def __init__(self, kept_M: Bools | None) -> None:
        self.kept = kept_M
        self.rows = None if kept_M is None else np.cumsum(kept_M, dtype=np.uint32) - np.uint32(1)

    def select(self, values_M: Floats) -> Floats:
        """The values of the remaining rows."""
        return values_M if self.kept is None else values_M[self.kept]


def _inside(rows: slice, part: slice) -> Bools:
    """Which of some rows are in a slice of the table."""
    numbers = np.arange(rows.start, rows.stop)
    inside: Bools = (numbers >= part.start) & (numbers < part.stop)
    return inside


def _chunks(values: npt.NDArray[Any] | Column) -> Iterator[npt.NDArray[Any]]:
    return (values[start : start + CHUNK] for start in range(0, len(values), CHUNK))


def _numbers(counts: Iterator[npt.NDArray[Any]] | Sequence[npt.NDArray[Any]]) -> list[int]:
    """The number of n-grams with count 0, 1, …, HIGHEST."""
    found = np.zeros(HIGHEST + 2, np.int64)
    for part in counts:
        found += np.bincount(np.minimum(part, HIGHEST + 1).astype(np.int64), minlength=HIGHEST + 2)
    numbers: list[int] = found[: HIGHEST + 1].tolist()
    return numbers
