"""The interface of probes: evaluations on held-out text without training, case by case.

A probe is built once and given to every arm, so that arms answer the same cases and their differences can be paired.
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
"""The answers of one model: plain arrays over the cases, which can be stored."""
Tick = Callable[[int], None]
"""Call with the number of steps just done."""


class NothingToAsk(ValueError):
    """A probe has no cases for this data, for the reason in the message. Other probes still run."""


class Probe(Protocol):
    """A fixed set of cases, how a model answers them, and how the answers are scored."""

    @property
    def steps(self) -> int:
        """The total of `tick`'s increments in one `answer`."""
        ...

    def answer(self, model: OpenedModel, tick: Tick) -> Answers:
        """The answers of a model. Raises ValueError if it lacks a capability that the probe's row requires."""
        ...

    def entities_given(self, model: OpenedModel) -> Sequence[str]:
        """The entities of the mentions of which this model is given knowledge along with the text; () if it has no
        knowledge.

        A mention is repeated for every case in which it is given.
        """
        ...

    def score(self, answers: Answers, seed: int) -> dict[str, Estimate]:
        """Metric → its value; the interval resamples documents, or other clusters of cases."""
        ...

    def difference(self, first: Answers, second: Answers, seed: int) -> dict[str, Estimate]:
        """Metric → first − second, paired case by case."""
        ...

    def baselines(self, seed: int) -> dict[str, dict[str, Estimate]]:
        """Name of a baseline → its scores. Baselines need no model."""
        ...

    def details(self) -> dict[str, Any]:
        """Numbers that describe the cases, for `scores.json` and the report."""
        ...


class CaseProbe(ABC):
    """A probe whose scores are means over its cases. `answer` returns each metric's value on each case."""

    @property
    @abstractmethod
    def clusters(self) -> Ints:
        """The cluster of each case for resampling, int [N]: its document, or another unit that cases share."""

    @property
    def steps(self) -> int:
        """See `Probe`: one step per case."""
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
        """See `Probe`: the number of cases."""
        return {"cases": len(self.clusters)}
