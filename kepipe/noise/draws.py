"""Sources of randomness for corruptions, and masking schedules (Liu et al. 2019, section 4.1).

Every corruption draws a row of uniform numbers for each row of the batch. A NumPy Generator gives new numbers for every
batch: the dynamic schedule. `RowDraws` gives numbers that depend only on the row's seed, so that an example can be
corrupted in the same way in every epoch, whichever batch it is in.
"""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np

from kepipe.arrays import Floats, Hashes, Ints

Schedule = Literal["static", "duplicated", "dynamic"]
GOLDEN, ODD = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1B54A32D192ED03)


class Draws(Protocol):
    """A source of uniform numbers in [0, 1): `numpy.random.Generator` or `RowDraws`."""

    def random(self, size: tuple[int, int], /) -> Floats:
        """Numbers of shape [B, any]."""
        ...


class RowDraws:
    """SplitMix64 streams (Steele et al. 2014), one per row: number j of call c depends only on (seed of the row, c,
    j)."""

    def __init__(self, seeds_B: Hashes) -> None:
        self._seeds = seeds_B
        self._calls = 0

    def random(self, size: tuple[int, int], /) -> Floats:
        """Numbers of shape [B, any]; the first columns do not depend on the number of columns."""
        rows, columns = size
        assert rows == len(self._seeds), "one seed per row"
        self._calls += 1
        streams = mix(self._seeds + np.uint64(self._calls * int(ODD) % 2**64))
        steps = np.arange(1, columns + 1, dtype=np.uint64) * GOLDEN
        return (mix(streams[:, None] + steps) >> np.uint64(11)).astype(np.float64) * np.float64(2.0**-53)


def mix(state: Hashes) -> Hashes:
    """SplitMix64's output function: every bit of the input affects every bit of the output."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def visit_seeds(schedule: Schedule, examples_B: Ints, visit: int, *, seed: int, copies: int = 10) -> Hashes:
    """The seed of each example's corruption at its `visit` (the epoch): uint64 [B].

    static: the same corruption at each visit; duplicated: `copies` of them in turn (BERT's duplicated data, k=10);
    dynamic: a new one at each visit.
    """
    if copies < 1:
        raise ValueError(f"a duplicated schedule needs at least 1 copy, not {copies}")
    turn = {"static": 0, "duplicated": visit % copies, "dynamic": visit}[schedule]
    base = mix(np.array([(seed * int(ODD) + turn * int(GOLDEN)) % 2**64], dtype=np.uint64))
    return mix(base + examples_B.astype(np.uint64) * GOLDEN)
