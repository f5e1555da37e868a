"""`on-drift`: fires when new text has drifted from the text that the newest model was trained on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from kepipe.flow.triggers.base import CheckResult, Trigger, TriggerContext, TriggerState, interval_trigger

if TYPE_CHECKING:
    from apscheduler.triggers.base import BaseTrigger

COMMAND: Sequence[str] = (sys.executable, "-m", "kepipe", "drift")
DRIFTED = 10
"""Exit code of `kepipe drift --exit-code` when there is drift."""


class OnDrift(Trigger):
    """Fires when `kepipe drift` finds drift; it runs only after a source has changed."""

    kind: Literal["on-drift"] = "on-drift"
    every: float = Field(600.0, ge=1)
    """Seconds between checks."""

    @property
    def label(self) -> str:
        return "on drift"

    def timetable(self) -> BaseTrigger:
        return interval_trigger(self.every)

    def check(self, context: TriggerContext) -> CheckResult:
        now = context.digests()
        if now == context.state.get("checked"):
            return CheckResult(state=context.state)
        flags = [flag for assignment in context.overrides for flag in ("--set", assignment)]
        ended = subprocess.run(
            [*COMMAND, str(context.pipeline), "--exit-code", "--workspace", str(context.workspace), *flags],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        last = (ended.stdout if ended.returncode == DRIFTED else ended.stderr).strip().splitlines()[-1:]
        if ended.returncode == DRIFTED:
            return CheckResult("".join(last) or "drift", context.state, state_after_run={"checked": now})
        if ended.returncode:
            raise ValueError("".join(last) or f"`kepipe drift` ended with {ended.returncode}")
        return CheckResult(state={"checked": now})

    def state_after_manual_run(self, context: TriggerContext) -> TriggerState:
        return {"checked": context.digests()}
