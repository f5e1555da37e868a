"""Cron expressions against dates worked out by hand."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from kepipe.flow.cron import trigger


def firings(expression: str, count: int, after: str = "2026-11-01T00:00:00") -> list[str]:
    """The first times after a moment; 1 November 2026 is a Sunday."""
    when = trigger(expression)
    now, last, found = datetime.fromisoformat(after).astimezone(), None, []
    for _ in range(count):
        last = when.get_next_fire_time(last, now)
        found.append(last.strftime("%a %d %H:%M:%S"))
        now = last + timedelta(microseconds=1)
    return found


def test_cron_with_five_fields_fires_at_second_zero() -> None:
    assert firings("30 2 * * *", 2) == ["Sun 01 02:30:00", "Mon 02 02:30:00"]


def test_cron_with_six_fields_starts_with_seconds() -> None:
    assert firings("*/20 * * * * *", 3) == ["Sun 01 00:00:00", "Sun 01 00:00:20", "Sun 01 00:00:40"]


@pytest.mark.parametrize(
    ("weekday", "days"),
    [
        ("0", ["Sun 01", "Sun 08"]),
        ("7", ["Sun 01", "Sun 08"]),
        ("1-5", ["Mon 02", "Tue 03", "Wed 04", "Thu 05", "Fri 06", "Mon 09"]),
        ("0-2", ["Sun 01", "Mon 02", "Tue 03", "Sun 08"]),
        ("fri-mon", ["Sun 01", "Mon 02", "Fri 06", "Sat 07", "Sun 08"]),
        ("5-7", ["Sun 01", "Fri 06", "Sat 07", "Sun 08"]),
        ("*/2", ["Sun 01", "Tue 03", "Thu 05", "Sat 07", "Sun 08"]),
        ("1/2", ["Mon 02", "Wed 04", "Fri 06", "Mon 09"]),
        ("TUE,sat", ["Tue 03", "Sat 07", "Tue 10"]),
    ],
)
def test_weekdays_and_their_ranges_follow_cron(weekday: str, days: list[str]) -> None:
    assert [found[:6] for found in firings(f"0 0 * * {weekday}", len(days))] == days


def test_day_of_month_and_weekday_are_combined_with_or() -> None:
    assert [found[:6] for found in firings("0 12 3 * 5", 3)] == ["Tue 03", "Fri 06", "Fri 13"]


def test_field_starting_with_star_does_not_make_the_other_optional() -> None:
    assert [found[:6] for found in firings("0 12 1,2,8 * */2", 2)] == ["Sun 01", "Sun 08"]


def test_cron_in_a_time_zone_fires_at_its_hour() -> None:
    now = datetime(2026, 11, 1, tzinfo=ZoneInfo("UTC"))
    following = trigger("0 12 * * *", "Asia/Tokyo").get_next_fire_time(None, now)
    assert following == datetime(2026, 11, 1, 3, tzinfo=ZoneInfo("UTC"))


def test_cron_shorthand_weekly() -> None:
    assert firings("@weekly", 2) == ["Sun 01 00:00:00", "Sun 08 00:00:00"]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("0 25 * * *", "field hour"),
        ("61 * * * *", "field minute"),
        ("0 0 * smarch *", "field month"),
        ("0 0 * * 8", "field weekday: '8'"),
        ("0 0 * * mon/0", "field weekday: '0' is not a step"),
        ("every day", "expected five fields"),
        ("* * * *", "found 4"),
    ],
)
def test_invalid_cron_expression_names_the_field(expression: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        trigger(expression)
