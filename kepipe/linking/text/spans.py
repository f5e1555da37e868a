"""Spans of a text: overlap and surrounding context."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence


def touches(spans: Sequence[tuple[int, int]], start: int, end: int) -> bool:
    """Whether the span `start`..`end` overlaps one of `spans`, which are sorted and do not overlap each other."""
    place = bisect_right(spans, start, key=lambda span: span[1])
    return place < len(spans) and spans[place][0] < end


def surrounding_text(text: str, start: int, end: int, width: int) -> tuple[str, str]:
    """At most `width` characters before and after a span of a text, cut between words."""
    before, after = text[max(start - width, 0) : start], text[end : end + width]
    if start > width:
        before = f"… {before[before.find(' ') + 1 :]}"
    if end + width < len(text):
        after = f"{after[: after.rfind(' ') if ' ' in after else len(after)]} …"
    return before, after
