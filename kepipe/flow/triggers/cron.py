"""`cron`: fires at the times of a cron expression."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from kepipe.flow.cron import trigger
from kepipe.flow.triggers.base import CheckResult, Trigger, TriggerContext

if TYPE_CHECKING:
    from apscheduler.triggers.base import BaseTrigger


class Cron(Trigger):
    """Fires at the times of a cron expression."""

    polls: ClassVar[bool] = False

    kind: Literal["cron"] = "cron"
    cron: str
    """The expression, as `kepipe.flow.cron.trigger` takes it."""
    zone: str = ""
    """Time zone, `Europe/Berlin`; none: the machine's."""

    @property
    def label(self) -> str:
        return f"cron {self.cron}{f' {self.zone}' if self.zone else ''}"

    def timetable(self) -> BaseTrigger:
        return trigger(self.cron, self.zone)

    def check(self, _context: TriggerContext) -> CheckResult:
        return CheckResult(self.label)
