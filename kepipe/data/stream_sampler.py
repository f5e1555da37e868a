"""The order of stream batches: row b of a batch continues row b of the previous batch.

The text is divided into parallel streams, and a batch takes the next row of each: batch n is a function of (examples,
seed, n). A model can therefore carry a state from batch to batch, such as LSTM states (Peters et al. 2018) or the
memory of Transformer-XL (Dai et al. 2019, §3.2).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kepipe.arrays import Bools, Ints, ranges


class StreamRows(NamedTuple):
    """Rows of a batch: `examples`, int [B]; `continues`, bool [B], whether each continues the same row of the previous
    batch; `from_right`, bool [B], whether its stream is read right to left."""

    examples: Ints
    continues: Bools
    from_right: Bools


class StreamSampler:
    """Which examples make up batch n, for n = 0, 1, … without end.

    Examples that continue one another, such as the rows of a document, are a run. Runs are shuffled in each epoch,
    rows within them are not; their sequence is cut into streams of equal length, each of which starts without a state.
    With several `parts`, batches n, n + parts, n + 2·parts, … are one set of streams, so that the parts of an update,
    which may run in parallel, do not depend on each other. An epoch leaves out the fewer than `parts` rows that do not
    fill a batch of each part.
    """

    def __init__(
        self, continues_N: Bools, rows: int, seed: int, *, parts: int = 1, both_directions: bool = False
    ) -> None:
        """`continues_N`: bool [N], whether example i continues example i − 1. `rows`: of a batch, fewer if the text is
        short. `both_directions`: every second row of a batch is from a stream that is read right to left, so that an
        epoch has each example once in each direction.

        Raises ValueError if there are fewer examples than parts.
        """
        count, directions = len(continues_N), 1 + both_directions
        if count < parts:
            raise ValueError(
                f"{count} rows of text are too few for the streams of {parts} parts: set `accumulate: 1`"
            )
        self.seed, self.parts, self._directions = seed, parts, directions
        self._continues = continues_N.copy()
        self._continues[0] = False
        streams = parts * max(1, min(rows // directions, count // parts))
        shortest, over = divmod(count, streams)
        sizes = shortest + (np.arange(streams) < over) * (over >= parts)
        self._starts, self._sizes = np.cumsum(sizes) - sizes, sizes
        self._kept: tuple[int, Ints] | None = None

    @property
    def per_epoch(self) -> int:
        """Batches of an epoch."""
        return self.parts * int(self._sizes[0])

    def epoch(self, n: int) -> int:
        """The epoch, from 0, to which batch n belongs."""
        return n // self.per_epoch

    def part(self, n: int) -> int:
        """The set of streams, from 0, to which batch n belongs: it continues batch n − parts."""
        return n % self.parts

    def rows(self, n: int) -> StreamRows:
        """The rows of batch n. The last batch of an epoch may lack the shorter streams, which are its last rows."""
        epoch, number = divmod(n, self.per_epoch)
        step, part = divmod(number, self.parts)
        order_N = self._shuffle(epoch)
        streams = np.arange(part, len(self._sizes), self.parts)
        streams = streams[self._sizes[streams] > step]
        first, size = self._starts[streams], self._sizes[streams]
        examples_RB = order_N[np.stack([first + step, first + size - 1 - step])]
        # read right to left, a row continues the one that follows it in the text
        before_RB = np.stack([examples_RB[0], order_N[np.minimum(first + size - step, len(order_N) - 1)]])
        continues_RB = self._continues[before_RB] & (step > 0)
        kept = slice(0, self._directions)
        from_right_RB = np.broadcast_to([[False], [True]], continues_RB.shape)
        return StreamRows(*(of[kept].T.ravel() for of in (examples_RB, continues_RB, from_right_RB)))

    def _shuffle(self, epoch: int) -> Ints:
        """The epoch's examples, run by run."""
        kept = self._kept
        if kept is None or kept[0] != epoch:
            starts = np.flatnonzero(~self._continues)
            sizes = np.diff(np.append(starts, len(self._continues)))
            runs = np.random.default_rng([self.seed, epoch]).permutation(len(starts))
            kept = self._kept = (epoch, ranges(starts[runs], sizes[runs]))
        return kept[1]
