"""Stretches of a text: whether they touch, and what stands around them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence


def touches(spans: Sequence[tuple[int, int]], start: int, end: int) -> bool:
    """Whether a stretch has characters in common with one of `spans`, which are in order and do not overlap."""
    place = bisect_right(spans, start, key=lambda span: span[1])
    return place < len(spans) and spans[place][0] < end


def surrounding_text(text: str, start: int, end: int, width: int) -> tuple[str, str]:
    """At most `width` characters before and after a stretch of text, cut between words."""
    before, after = text[max(start - width, 0) : start], text[end : end + width]
    if start > width:
        before = f"… {before[before.find(' ') + 1 :]}"
    if end + width < len(text):
        after = f"{after[: after.rfind(' ') if ' ' in after else len(after)]} …"
    return before, after
