"""Schedules whose pipelines are small Python scripts, run in this process."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kepipe.flow import scheduled_run, schedules
from kepipe.flow.firing import SchedulerOptions
from kepipe.flow.history import Result
from kepipe.flow.schedule import Schedule
from kepipe.flow.scheduler import run_due_once
from kepipe.flow.triggers.base import Trigger


@dataclass
class Scripts:
    """A workspace, with the printed messages and the alerts sent."""

    workspace: Path
    messages: list[str] = field(default_factory=list)
    alerts: list[tuple[str, Result]] = field(default_factory=list)

    @property
    def options(self) -> SchedulerOptions:
        return SchedulerOptions(
            sources=self.digests,
            tell=self.messages.append,
            notify=lambda name, _schedule, result: self.alerts.append((name, result)),
        )

    def digests(self, pipeline: Path, _overrides: Sequence[str]) -> dict[str, str]:
        """Digests of the contents of the pipeline and of the texts in its folder."""
        files = [pipeline, *sorted(pipeline.parent.glob("*.txt"))]
        return {file.name: file.read_text() for file in files}

    def add(self, name: str, code: str, when: Trigger, **fields: Any) -> Path:
        """Add a schedule of a script, in which `here` is its folder."""
        folder = self.workspace.parent / name
        folder.mkdir(exist_ok=True)
        script = folder / f"{name}.py"
        script.write_text(f"from pathlib import Path\nhere = Path(__file__).parent\n{code}\n")
        schedules.add(self.workspace, name, Schedule(pipeline=str(script), when=when, **fields), self.options)
        return folder

    def run_due(self) -> list[tuple[str, str]]:
        """Outcome and reason of the runs of `kepipe scheduler --once`."""
        return [(result.outcome, result.reason) for result in run_due_once(self.workspace, self.options)]


CALL = "(here / 'calls').open('a').write('x')"
"""A script that appends an x at each call."""


def calls(folder: Path) -> int:
    """Number of calls of a script."""
    file = folder / "calls"
    return len(file.read_text()) if file.exists() else 0


def make_scripts(tmp_path: Path, patch: pytest.MonkeyPatch) -> Scripts:
    """An empty workspace in which pipelines are Python scripts."""
    patch.setattr(scheduled_run, "COMMAND", (sys.executable,))
    return Scripts(tmp_path / "space")
