"""Check whether mention offsets count characters, by how many of them fall inside words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

_SHARE = 0.1
"""Offsets count as wrong if more than this share of mentions cuts words; some names do end inside compounds."""


class MarkedOffsets(NamedTuple):
    """A text and the offsets of its mentions."""

    text: str
    spans: Sequence[tuple[int, int]]


Count = Callable[[str, Sequence[tuple[int, int]]], list[tuple[int, int]]]


def _utf_16(text: str, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    return _by_sizes(spans, [1 + (char > "\uffff") for char in text])


def _utf_8(text: str, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    return _by_sizes(spans, [len(char.encode(errors="replace")) for char in text])


def _by_sizes(spans: Sequence[tuple[int, int]], sizes: Sequence[int]) -> list[tuple[int, int]]:
    places = {place: number for number, place in enumerate(accumulate(sizes, initial=0))}
    return [(places.get(start, -1), places.get(end, -1)) for start, end in spans]


def _inclusive(_text: str, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(start, end + 1) for start, end in spans]


_REASONS: dict[str, Count] = {
    "`end` is the index of the last character, and should be the one after it": _inclusive,
    "offsets are in UTF-16 units, as in JavaScript and Java, and should be in characters": _utf_16,
    "offsets are in bytes of UTF-8, and should be in characters": _utf_8,
}


def check_offsets(texts: Iterable[MarkedOffsets]) -> str | None:
    """The error message for wrong offsets, with the likely reason; None if they seem right."""
    texts = list(texts)
    total = sum(len(marks.spans) for marks in texts)
    cut = _cut(texts, lambda _text, spans: list(spans))
    if cut < 2 or cut <= _SHARE * total:
        return None
    better = {reason: _cut(texts, count) for reason, count in _REASONS.items()}
    reason, left = min(better.items(), key=lambda pair: pair[1])
    likely = f"; most likely {reason}" if left * 2 < cut else ""
    return f"{cut:,} of {total:,} mentions begin or end inside words{likely}"


def _cut(texts: Sequence[MarkedOffsets], count: Count) -> int:
    """The number of mentions that cut a word, or are out of range."""
    return sum(_cuts(text, *span) for text, spans in texts for span in count(text, spans))


def _cuts(text: str, start: int, end: int) -> bool:
    if not 0 <= start < end <= len(text):
        return True
    inside = text[start:end]
    return _joined(text, start) or _joined(text, end) or inside != inside.strip()


def _joined(text: str, place: int) -> bool:
    """Whether an offset is inside a word; always false in scripts without spaces."""
    return 0 < place < len(text) and _in_word(text[place - 1]) and _in_word(text[place])


def _in_word(char: str) -> bool:
    return (
        char.isalnum()
        and not "\u0e00" <= char <= "\u0eff"
        and not "\u2e80" <= char <= "\ud7ff"
        and char < "\U00020000"
    )
