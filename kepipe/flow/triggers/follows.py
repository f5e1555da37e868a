"""`after`: fires when another schedule has finished well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from kepipe.flow.history import last_result
from kepipe.flow.triggers.base import Kept, Look, Sight, Trigger, every

if TYPE_CHECKING:
    from apscheduler.triggers.base import BaseTrigger

BEAT = 2.0
"""Seconds between looks."""


class After(Trigger):
    """After each success of another schedule; several that came while nobody looked count as one."""

    kind: Literal["after"] = "after"
    after: str
    """Name of the other schedule."""

    @property
    def said(self) -> str:
        return f"after {self.after}"

    def timetable(self) -> BaseTrigger:
        return every(BEAT)

    def look(self, sight: Sight) -> Look:
        newest = self._newest(sight)
        if newest == sight.kept.get("followed"):
            return Look(keep=sight.kept)
        return Look(f"{self.after} has finished", sight.kept, done={"followed": newest})

    def begin(self, sight: Sight) -> Kept:
        """What finished before does not count."""
        return {"followed": self._newest(sight)}

    def _newest(self, sight: Sight) -> float | None:
        """When the other's newest success began, Unix time."""
        last = last_result(sight.workspace, self.after, only="finished")
        return None if last is None else last.started
