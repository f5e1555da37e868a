"""The table of a mixture's schedules: when each objective is trained, and how often.

Sun et al. 2020, "ERNIE 2.0", §3.2 and table 7, compare three ways to train N tasks, with the same number of batches per
task: all together (joint), one after the other (sequential), and each new task together with all tasks so far
(continual).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from kepipe.arrays import Floats


@dataclass(frozen=True)
class Turns:
    """A training in S stages. `begins` [S]: the share of the training at which each stage begins, the first at 0;
    `weights` [S][P]: the weights of P objectives in each stage, of which only the ratios count."""

    begins: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...]

    def weights_at(self, progress: float) -> Floats:
        """The weight of each objective at a share `progress` of the training: float [P]."""
        stage = int(np.searchsorted(self.begins, progress, side="right")) - 1
        return np.array(self.weights[stage])

    def own_progress(self, part: int, progress: float) -> float:
        """The share that is done of the time from an objective's first stage to its last: a curriculum within an
        objective is completed however late it joins."""
        begin, end = self._spans[part]
        return min(1.0, (progress - begin) / (end - begin))

    @cached_property
    def _spans(self) -> list[tuple[float, float]]:
        has_weight = np.array(self.weights) > 0
        first, last = has_weight.argmax(0), len(has_weight) - 1 - has_weight[::-1].argmax(0)
        ends = (*self.begins[1:], 1.0)
        return [(self.begins[a], ends[b]) for a, b in zip(first.tolist(), last.tolist(), strict=True)]


def joint(weights: Sequence[float], joins: Sequence[float]) -> Turns:
    """All objectives that have joined, by weight. `joins`: the share of the training after which each joins."""
    begins = sorted(set(joins))
    return Turns(
        tuple(begins),
        tuple(
            tuple(weight if join <= begin else 0.0 for weight, join in zip(weights, joins, strict=True))
            for begin in begins
        ),
    )


def continual(weights: Sequence[float], _joins: Sequence[float]) -> Turns:
    """A stage for each of N objectives, in which it is trained together with all before it.

    An objective has a share 1/(N + 1) of its batches in every stage after the one in which it joins, and the rest in
    that one. With N = 4 and 50,000 batches each, as published, the first has 20,000 and three times 10,000, the second
    30,000 and twice 10,000, the third 40,000 and 10,000, the fourth 50,000.
    """
    count, shares = len(weights), np.array(weights) / sum(weights)
    parts_SP = np.zeros((count, count))
    for part in range(count):
        parts_SP[part:, part] = shares[part] / (count + 1)
        parts_SP[part, part] = shares[part] * (part + 2) / (count + 1)
    return _of_parts(parts_SP)


def sequential(weights: Sequence[float], _joins: Sequence[float]) -> Turns:
    """A stage for each objective, in which it is trained alone, as long as its weight among all weights."""
    return _of_parts(np.diag(np.array(weights) / sum(weights)))


def _of_parts(parts_SP: Floats) -> Turns:
    """Stages [S] from the share of the whole training that each objective has in each stage, [S, P]."""
    ends = np.cumsum(parts_SP.sum(1))
    return Turns((0.0, *ends[:-1].tolist()), tuple(map(tuple, parts_SP.tolist())))


SCHEDULES: Mapping[str, Callable[[Sequence[float], Sequence[float]], Turns]] = {
    "joint": joint,
    "continual": continual,
    "sequential": sequential,
}
"""Name → (weights, joins) → the stages."""

if TYPE_CHECKING:
    ScheduleName = str
else:
    ScheduleName = Literal[tuple(SCHEDULES)]
    """The name of a schedule, as the type of a setting."""
