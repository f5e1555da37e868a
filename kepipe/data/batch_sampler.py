"""The order of batches: a seeded permutation per epoch. Batch n is a pure function of (lengths, seed, n).

Rows of similar length are batched together to reduce padding; a batch has as many as its token budget allows.
"""

from __future__ import annotations

import numpy as np

from kepipe.arrays import Ints

WIDTH = 1.04
"""Longest over shortest row of a length class. Rows of one class are shuffled among each other."""


class BatchSampler:
    """The examples of batch n = 0, 1, …, without end; `per_epoch` batches contain every example once."""

    def __init__(self, lengths_N: Ints, tokens: int, seed: int) -> None:
        """`tokens`: budget of a batch, rows × longest row. A row above it is a batch of its own."""
        if not len(lengths_N):
            raise ValueError("there are no examples")
        self.seed = seed
        classes = np.floor(np.log(np.maximum(lengths_N, 1)) / np.log(WIDTH)).astype(np.int64)
        self._classes = classes
        # Sorted by class, the sequence of upper length bounds is the same in every epoch, whatever the permutation
        # within classes. So are the batch boundaries and the number of batches.
        longest = np.zeros(classes.max() + 1, dtype=np.int64)
        np.maximum.at(longest, classes, lengths_N)
        bound = longest[np.sort(classes)[::-1]]
        cuts, place = [0], 0
        while place < len(bound):
            place = min(place + max(tokens // int(bound[place]), 1), len(bound))
            cuts.append(place)
        self._cuts = np.array(cuts, dtype=np.int64)
        self._epoch: tuple[int, Ints, Ints] | None = None

    @property
    def per_epoch(self) -> int:
        """Batches of an epoch."""
        return len(self._cuts) - 1

    def epoch(self, n: int) -> int:
        """The epoch, from 0, to which batch n belongs."""
        return n // self.per_epoch

    def rows(self, n: int) -> Ints:
        """The examples of batch n: int [B]."""
        epoch, place = divmod(n, self.per_epoch)
        examples, batches = self._permute(epoch)
        batch = batches[place]
        return examples[self._cuts[batch] : self._cuts[batch + 1]]

    def _permute(self, epoch: int) -> tuple[Ints, Ints]:
        """The epoch's examples, longest class first and shuffled within classes, and the order of its batches."""
        kept = self._epoch
        if kept is None or kept[0] != epoch:
            rng = np.random.default_rng([self.seed, epoch])
            shuffled = rng.permutation(len(self._classes))
            examples = shuffled[np.argsort(-self._classes[shuffled], kind="stable")]
            kept = self._epoch = (epoch, examples, rng.permutation(self.per_epoch))
        return kept[1], kept[2]


def batch_numbers(step: int, parts: int, rank: int = 0, world: int = 1) -> range:
    """The batch numbers of process `rank` of `world` in an update of `parts` batches.

    The union over processes does not depend on their number, and neither does the loss.
    """
    if parts % world:
        raise ValueError(f"an update of {parts} batches cannot be shared evenly by {world} processes")
    return range(step * parts + rank, (step + 1) * parts, world)
