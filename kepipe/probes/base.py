"""What a probe is: something measured on a held-out text without training anything, case by case.

A probe is made once and put to every arm, so that arms answer the same cases and their difference can be paired.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from kepipe.arrays import Floats, Ints
from kepipe.studies.cases import Cases, compare, summarise

if TYPE_CHECKING:
    from kepipe.inference.opening import OpenedModel
    from kepipe.studies.intervals import Estimate

Answers = Mapping[str, Floats]
"""What one model answered: plain arrays over the cases, so that they can be kept."""
Tick = Callable[[int], None]
"""Call with the number of steps just done."""


class NothingToAsk(ValueError):
    """A probe finds nothing to ask of this data; the message says why. The others go on without it."""


class Probe(Protocol):
    """A set of cases, how a model answers them, and how answers are scored."""

    @property
    def steps(self) -> int:
        """What `tick`'s counts add up to in one `answer`."""
        ...

    def answer(self, model: OpenedModel, tick: Tick) -> Answers:
        """Put the cases to a model. Raises ValueError for one that lacks what the probe's row asks for."""
        ...

    def entities_given(self, model: OpenedModel) -> Sequence[str]:
        """The entity of each mention that this model, which has knowledge, is given with the text; empty: of none.

        A mention counts with every case that it is given with.
        """
        ...

    def score(self, answers: Answers, seed: int) -> dict[str, Estimate]:
        """Metric → its value; the interval resamples documents, or what else cases share."""
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


class CaseProbe(ABC):
    """A probe whose scores are means over its cases. What `answer` gives is each metric's value on each case."""

    @property
    @abstractmethod
    def clusters(self) -> Ints:
        """What the intervals resample, int [N]: the document of each case, or what else its cases share."""

    @property
    def steps(self) -> int:
        """See `Probe`: a step a case."""
        return len(self.clusters)

    def entities_given(self, model: OpenedModel) -> Sequence[str]:  # noqa: ARG002
        """See `Probe`: none."""
        return ()

    def score(self, answers: Answers, seed: int) -> dict[str, Estimate]:
        """See `Probe`."""
        return summarise(Cases(answers, self.clusters), seed)

    def difference(self, first: Answers, second: Answers, seed: int) -> dict[str, Estimate]:
        """See `Probe`."""
        return compare(Cases(first, self.clusters), Cases(second, self.clusters), seed)

    def baselines(self, seed: int) -> dict[str, dict[str, Estimate]]:  # noqa: ARG002
        """See `Probe`: none."""
        return {}

    def details(self) -> dict[str, Any]:
        """See `Probe`: how many cases there are."""
        return {"cases": len(self.clusters)}
