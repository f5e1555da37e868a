"""`cron`: fires at set times."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from kepipe.flow.cron import trigger
from kepipe.flow.triggers.base import Look, Sight, Trigger

if TYPE_CHECKING:
    from apscheduler.triggers.base import BaseTrigger


class Cron(Trigger):
    """At the times of a cron expression."""

    looks: ClassVar[bool] = False

    kind: Literal["cron"] = "cron"
    cron: str
    """The expression, as `kepipe.flow.cron.trigger` takes it."""
    zone: str = ""
    """Time zone, `Europe/Berlin`; none: the machine's."""

    @property
    def said(self) -> str:
        return f"cron {self.cron}{f' {self.zone}' if self.zone else ''}"

    def timetable(self) -> BaseTrigger:
        return trigger(self.cron, self.zone)

    def look(self, _sight: Sight) -> Look:
        return Look(self.said)
