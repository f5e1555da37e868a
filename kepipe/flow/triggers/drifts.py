"""`on-drift`: fires where new text is unlike that on which the newest model was trained."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from kepipe.flow.triggers.base import Kept, Look, Sight, Trigger, every

if TYPE_CHECKING:
    from apscheduler.triggers.base import BaseTrigger

COMMAND: Sequence[str] = (sys.executable, "-m", "kepipe", "drift")
DRIFTED = 10
"""Exit code by which the command says that there is drift."""


class OnDrift(Trigger):
    """When a check of drift, made where something has changed, finds some."""

    kind: Literal["on-drift"] = "on-drift"
    every: float = Field(600.0, ge=1)
    """Seconds between looks."""

    @property
    def said(self) -> str:
        return "on drift"

    def timetable(self) -> BaseTrigger:
        return every(self.every)

    def look(self, sight: Sight) -> Look:
        now = sight.digests()
        if now == sight.kept.get("checked"):
            return Look(keep=sight.kept)
        flags = [flag for assignment in sight.overrides for flag in ("--set", assignment)]
        ended = subprocess.run(
            [*COMMAND, str(sight.pipeline), "--exit-code", "--workspace", str(sight.workspace), *flags],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        last = (ended.stdout if ended.returncode in (0, DRIFTED) else ended.stderr).strip().splitlines()[-1:]
        if ended.returncode == DRIFTED:
            return Look("".join(last) or "drift", sight.kept, done={"checked": now})
        if ended.returncode:
            raise ValueError("".join(last) or f"`kepipe drift` ended with {ended.returncode}")
        return Look(keep={"checked": now})

    def fired_by_hand(self, sight: Sight) -> Kept:
        return {"checked": sight.digests()}
