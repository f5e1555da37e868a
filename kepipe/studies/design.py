"""The design of a study: arms, each a copy of some stages for every seed, and the measures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from kepipe.config import Section

Better = Literal["higher", "lower"]
"""Which values of a metric are better."""
LESS_IS_BETTER = ("loss", "perplexity", "bits_per", "error", "mean_rank")
"""Lower is better for a metric whose name has one of these parts, unless the study sets `better`."""

NAMES_ONLY = "names-only"
"""The control in which entities are found and marked, but no facts are given."""

DATA_SETTINGS = (
    "steps",
    "epochs",
    "batch_tokens",
    "batch_size",
    "accumulate",
    "format",
    "length",
    "document_mask",
)
"""Settings that determine the training data, its order and the length of training; equal in all arms."""


class Measure(Section):
    """A figure of a stage's result: `test/micro_f1` in `scores.json`, or the last logged value of that name."""

    stage: str
    metric: str
    better: Better

    @property
    def name(self) -> str:
        """Its name: `finetune/test/micro_f1`."""
        return f"{self.stage}/{self.metric}"

    @property
    def sign(self) -> int:
        """+1 if higher is better, −1 if lower is better."""
        return 1 if self.better == "higher" else -1


def better_by_name(metric: str) -> Better:
    """Whether higher or lower is better, inferred from the metric's name."""
    return "lower" if any(part in metric for part in LESS_IS_BETTER) else "higher"


class Copy(Section):
    """An arm with a seed: stage → the node that runs it, which several copies may share."""

    arm: str
    seed: int
    nodes: dict[str, str]


class Design(Section):
    """The whole comparison. The first measure of each task decides; the others are also reported."""

    reference: str
    """The arm that the others are compared with."""
    controls: tuple[str, ...]
    """Arms whose knowledge is missing or wrong, which the others must outperform."""
    measures: tuple[Measure, ...]
    copies: tuple[Copy, ...]
    tasks: tuple[str, ...] = ()
    """Stages that are tasks, each with its own answer: the measured stages of the same kind as the first. Empty: only
    the first."""
    may_differ: tuple[str, ...] = ()
    """Conditions (steps, shards, …) in which the arms may differ."""
    changes: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Arm → setting → its value in the arm, for display."""

    def arms(self) -> list[str]:
        """Names of the arms, in the file's order."""
        return list(dict.fromkeys(copy.arm for copy in self.copies))

    def seeds(self) -> list[int]:
        """The seeds, in the file's order."""
        return list(dict.fromkeys(copy.seed for copy in self.copies))

    def of(self, arm: str) -> Iterator[Copy]:
        """The copies of an arm, in the order of the seeds."""
        return (copy for copy in self.copies if copy.arm == arm)

    def deciding(self) -> list[Measure]:
        """The first measure of each task."""
        first = {measure.stage: measure for measure in reversed(self.measures)}
        return [first[stage] for stage in self.tasks or (self.measures[0].stage,)]

    def treatments(self) -> list[str]:
        """Arms under test: neither a control nor the reference."""
        return [arm for arm in self.arms() if arm not in (*self.controls, self.reference)]

    def comparisons(self) -> list[tuple[str, str]]:
        """Pairs of arms, first − second: all against the reference, then the arms under test against each control."""
        against = [(arm, self.reference) for arm in self.arms() if arm != self.reference]
        others = [control for control in self.controls if control != self.reference]
        return against + [(arm, control) for control in others for arm in self.treatments()]
