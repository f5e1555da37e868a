"""The outcome of a training, and how much sooner other trainings reach its loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, log


@dataclass(frozen=True)
class Outcome:
    """The held-out loss at the end, and the processor and wall time of training, in seconds."""

    loss: float
    processor: float
    wall: float


def seconds_to(target: float, outcomes: Sequence[Outcome], clock: str = "processor") -> float | None:
    """Seconds of a run, with its own decay, that ends at the loss `target`: log-linear interpolation between two runs;
    None if no run reaches it, and the time of the shortest run if all do. `clock`: processor or wall time."""
    outcomes = sorted(outcomes, key=lambda outcome: outcome.processor)
    seconds: list[float] = [getattr(outcome, clock) for outcome in outcomes]
    if outcomes[0].loss <= target:
        return seconds[0]
    for number, (previous, next_outcome) in enumerate(pairwise(outcomes)):
        if next_outcome.loss <= target:
            share = (previous.loss - target) / (previous.loss - next_outcome.loss)
            return exp(log(seconds[number]) + share * (log(seconds[number + 1]) - log(seconds[number])))
    return None


def times_sooner(reference: Outcome, outcomes: Sequence[Outcome]) -> str:
    """How much sooner runs reach the loss of another, by processor time and by wall time."""
    ratios = []
    for clock in ("processor", "wall"):
        if (reached := seconds_to(reference.loss, outcomes, clock)) is None:
            return "not reached"
        ratios.append(f"{getattr(reference, clock) / reached:.1f}")
    return f"{ratios[0]} times sooner by processor time, {ratios[1]} by wall time"
