"""What a trigger is: when it looks, and whether a look finds a reason to fire.

A look is cheap and is made often; what it has to remember from one look to the next is kept in a file of the schedule.
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
Kept = Mapping[str, Any]
"""What a trigger remembers, as plain JSON data."""


def pipeline_alone(pipeline: Path, _overrides: Sequence[str]) -> Mapping[str, str]:
    """The digest of the pipeline's file."""
    return {"pipeline": digest_source(pipeline)}


@dataclass(frozen=True)
class Sight:
    """What a look is given: whose it is, the means to look, and what was kept of the looks before."""

    workspace: Path
    pipeline: Path
    overrides: Sequence[str]
    sources: Sources
    kept: Kept = field(default_factory=dict)

    def digests(self) -> dict[str, str]:
        """What the pipeline's stages read now."""
        return dict(self.sources(self.pipeline, self.overrides))


@dataclass(frozen=True)
class Look:
    """What a look found. `reason`: why to fire, "" where there is none. `keep`: to be remembered at once, `done` once
    the firing has ended. `soon`: the next look may find a reason without that anything changes."""

    reason: str = ""
    keep: Kept = field(default_factory=dict)
    done: Kept = field(default_factory=dict)
    soon: bool = False


class Trigger(Section, ABC):
    """Settings of a trigger, and what it does. `looks`: whether it looks at things, rather than at the clock alone."""

    looks: ClassVar[bool] = True

    @property
    @abstractmethod
    def said(self) -> str:
        """As a list of schedules shows it: `cron 0 2 * * *`."""

    @abstractmethod
    def timetable(self) -> BaseTrigger:
        """When it looks. Raises ConfigError for settings that mean nothing."""

    @abstractmethod
    def look(self, sight: Sight) -> Look:
        """Whether to fire now. Raises ValueError or OSError where it cannot look."""

    def begin(self, _sight: Sight) -> Kept:
        """What is remembered as the schedule is added."""
        return {}

    def fired_by_hand(self, _sight: Sight) -> Kept:
        """What is remembered once a firing that nobody looked for has ended."""
        return {}


def every(seconds: float) -> BaseTrigger:
    """A look each so many seconds."""
    from apscheduler.triggers.interval import IntervalTrigger

    return IntervalTrigger(seconds=max(1, round(seconds)))
