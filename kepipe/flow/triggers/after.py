"""`after`: fires when a run of another schedule has succeeded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from kepipe.flow.history import last_result
from kepipe.flow.triggers.base import CheckResult, Trigger, TriggerContext, TriggerState, interval_trigger

if TYPE_CHECKING:
    from apscheduler.triggers.base import BaseTrigger

POLL_SECONDS = 2.0
"""Seconds between checks."""


class After(Trigger):
    """Fires after each success of another schedule; several successes between two checks count as one."""

    kind: Literal["after"] = "after"
    after: str
    """Name of the other schedule."""

    @property
    def label(self) -> str:
        return f"after {self.after}"

    def timetable(self) -> BaseTrigger:
        return interval_trigger(POLL_SECONDS)

    def check(self, context: TriggerContext) -> CheckResult:
        newest = self._newest(context)
        if newest == context.state.get("followed"):
            return CheckResult(state=context.state)
        return CheckResult(f"{self.after} has finished", context.state, state_after_run={"followed": newest})

    def initial_state(self, context: TriggerContext) -> TriggerState:
        """Runs that finished before the schedule was added do not count."""
        return {"followed": self._newest(context)}

    def _newest(self, context: TriggerContext) -> float | None:
        """Start of the other schedule's latest successful run, Unix time."""
        last = last_result(context.workspace, self.after, only="finished")
        return None if last is None else last.started
