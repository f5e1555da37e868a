"""What a probe is: something measured on a held-out text without training anything, case by case.

A probe is made once and put to every arm, so that arms answer the same cases and their difference can be paired.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from kepipe.arrays import Floats

if TYPE_CHECKING:
    from kepipe.inference.opening import OpenedModel
    from kepipe.studies.intervals import Estimate

Answers = Mapping[str, Floats]
"""What one model answered: plain arrays over the cases, so that they can be kept."""
Tick = Callable[[int], None]
"""Call with the number of steps just done."""


class Probe(Protocol):
    """A set of cases, how a model answers them, and how answers are scored."""

    @property
    def steps(self) -> int:
        """What `tick`'s counts add up to in one `answer`."""
        ...

    def answer(self, model: OpenedModel, tick: Tick) -> Answers:
        """Put the cases to a model. Raises ValueError for one that lacks what the probe's row asks for."""
        ...

    def entities_given(self) -> Sequence[str]:
        """The entity of each mention that a model with knowledge is given with the text; empty: of none.

        A mention counts with every case that it is given with.
        """
        ...

    def score(self, answers: Answers, seed: int) -> dict[str, Estimate]:
        """Metric → its value; the interval resamples documents."""
        ...

    def difference(self, first: Answers, second: Answers, seed: int) -> dict[str, Estimate]:
        """Metric → first − second, paired case by case."""
        ...

    def baselines(self, seed: int) -> dict[str, dict[str, Estimate]]:
        """Name → its scores, of what needs no model."""
        ...

    def details(self) -> dict[str, Any]:
        """What the probe asks, in numbers."""
        ...
