"""Cron expressions as APScheduler triggers, with cron's own rules where APScheduler's differ."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kepipe.config import ConfigError

if TYPE_CHECKING:
    from apscheduler.triggers.base import BaseTrigger

FIELDS = ("second", "minute", "hour", "day", "month", "day_of_week")
SHORT = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


def trigger(expression: str, zone: str = "") -> BaseTrigger:
    """The trigger of a cron expression: five fields (minute hour day month weekday), six (second first), or a shortcut
    such as `@daily`. `zone`: an IANA time zone, `Europe/Berlin`; "": local time.

    As in cron, weekdays 0 and 7 are Sunday, and if day and weekday are both given, either one is enough.
    Raises ConfigError that names the invalid field or zone.
    """
    from apscheduler.triggers.combining import OrTrigger

    parts = SHORT.get(expression.strip(), expression).split()
    if len(parts) not in (5, 6):
        raise ConfigError(
            f"cron {expression!r}: expected five fields (minute hour day month weekday), or six with seconds "
            f"before them, found {len(parts)}; for example `0 2 * * *`, every night at two"
        )
    fields = dict(zip(FIELDS, ["0", *parts][-6:], strict=True))
    either = not any(fields[day].startswith("*") for day in ("day", "day_of_week"))
    fields["day_of_week"] = _weekdays(fields["day_of_week"], expression)
    timezone = _zone(zone)
    if not either:
        return _trigger(fields, expression, timezone)
    parts_of_day = ({**fields, field: "*"} for field in ("day", "day_of_week"))
    return OrTrigger([_trigger(part, expression, timezone) for part in parts_of_day])


def _zone(name: str) -> ZoneInfo | None:
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(f"time zone {name!r}: unknown; expected one such as Europe/Berlin or UTC") from None


def _trigger(fields: dict[str, str], expression: str, timezone: ZoneInfo | None) -> BaseTrigger:
    from apscheduler.triggers.cron import CronTrigger

    for name, value in fields.items():
        try:
            CronTrigger(**{name: value})
        except ValueError as error:
            raise ConfigError(f"cron {expression!r}: field {name.replace('_', ' ')}: {error}") from None
    return CronTrigger(**fields, timezone=timezone)


def _weekdays(field: str, expression: str) -> str:
    """A weekday field with names for numbers: APScheduler counts from Monday, cron from Sunday."""
    if field == "*":
        return field
    chosen: list[str] = []
    for item in field.lower().split(","):
        span, _, step = item.partition("/")
        first, dash, last = span.partition("-")
        start, stop = (
            (0, 6) if span == "*" else (_weekday(first, expression), _weekday(last or first, expression))
        )
        if step and not (step.isdigit() and int(step)):
            raise ConfigError(f"cron {expression!r}: field weekday: {step!r} is not a step")
        if step and not dash and span != "*":
            stop = 6
        stop += 7 * (stop < start)  # fri-mon runs over the week's end
        chosen += [DAYS[day % 7] for day in range(start, stop + 1, int(step or 1))]
    return ",".join(dict.fromkeys(chosen))


def _weekday(text: str, expression: str) -> int:
    if text in DAYS:
        return DAYS.index(text)
    if text.isdigit() and int(text) <= 7:
        return int(text)
    raise ConfigError(f"cron {expression!r}: field weekday: {text!r} is not one of 0-7, {', '.join(DAYS)}")
