"""Base class of triggers: when a schedule is checked, and whether the check finds a reason to run its pipeline.

Checks are cheap and frequent. The state that a trigger keeps between checks is a JSON file of the schedule.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from kepipe.config import Section
from kepipe.flow.source_digests import digest_source

if TYPE_CHECKING:
    from apscheduler.triggers.base import BaseTrigger

Sources = Callable[[Path, Sequence[str]], Mapping[str, str]]
"""(pipeline file, `--set` assignments) → name → digest of everything that its stages read."""
TriggerState = Mapping[str, Any]
"""State of a trigger between checks, as plain JSON data."""


def pipeline_file_only(pipeline: Path, _overrides: Sequence[str]) -> Mapping[str, str]:
    """The digest of the pipeline's file."""
    return {"pipeline": digest_source(pipeline)}


@dataclass(frozen=True)
class TriggerContext:
    """Input of a trigger's check: the schedule's pipeline, a function that digests its sources, and the trigger's
    state."""

    workspace: Path
    pipeline: Path
    overrides: Sequence[str]
    sources: Sources
    state: TriggerState = field(default_factory=dict)

    def digests(self) -> dict[str, str]:
        """Name → digest of everything that the pipeline's stages read, as of now."""
        return dict(self.sources(self.pipeline, self.overrides))


@dataclass(frozen=True)
class CheckResult:
    """Result of a trigger's check.

    `reason`: why to run, "" for no run. `state`: the trigger's new state where it does not run, `state_after_run`: its
    state once the run has ended. `recheck_soon`: the next check may find a reason even if nothing changes.
    """

    reason: str = ""
    state: TriggerState = field(default_factory=dict)
    state_after_run: TriggerState = field(default_factory=dict)
    recheck_soon: bool = False


class Trigger(Section, ABC):
    """A trigger with its settings. `polls`: whether it checks something besides the clock."""

    polls: ClassVar[bool] = True

    @property
    @abstractmethod
    def label(self) -> str:
        """Label in lists of schedules: `cron 0 2 * * *`."""

    @abstractmethod
    def timetable(self) -> BaseTrigger:
        """When it is checked. Raises ConfigError for invalid settings."""

    @abstractmethod
    def check(self, context: TriggerContext) -> CheckResult:
        """Whether to run now. Raises ValueError or OSError if the check fails."""

    def initial_state(self, _context: TriggerContext) -> TriggerState:
        """State when the schedule is added."""
        return {}

    def state_after_manual_run(self, _context: TriggerContext) -> TriggerState:
        """State after a run that was started by hand."""
        return {}


def interval_trigger(seconds: float) -> BaseTrigger:
    """A check every `seconds`."""
    from apscheduler.triggers.interval import IntervalTrigger

    return IntervalTrigger(seconds=max(1, round(seconds)))
