"""Abbreviations that a text defines: "myotonic dystrophy (DM)" (Schwartz and Hearst 2003, §3).

The characters of the short form are matched from right to left against the words before the bracket; the first
character must begin a word. A long form has at most min(|A| + 5, 2 |A|) words. In addition to the paper, the initials
of as many words as the short form has letters may occur in any order, since the abbreviation may come from another
language (dystrophia myotonica); "type" has no initial: "myotonic dystrophy type 1 (DM1)".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_BRACKETED = re.compile(r" \((?P<short>[^\W_][\w.-]{0,8}[^\W_])(?:[;,] [^()]*)?\)")
_WORD = re.compile(r"\S+")


class Abbreviation(NamedTuple):
    """The short form, and the span of its long form."""

    short: str
    start: int
    end: int


def abbreviations(text: str) -> Iterator[Abbreviation]:
    """The abbreviations that a text defines, in order."""
    for found in _BRACKETED.finditer(text):
        short = found["short"]
        if not any(map(str.isupper, short)) or short.isdigit():
            continue
        end = found.start()
        words = min(len(short) + 5, 2 * len(short))
        before = list(_WORD.finditer(text, max(end - 200, 0), end))[-words:]
        if not before:
            continue
        start = _long_form(text, before[0].start(), end, short)
        initialled = [word for word in before if word[0] != "type"][-len(short) :]
        if start is None and sorted(short.lower()) == sorted(word[0][0].lower() for word in initialled):
            start = initialled[0].start()
        if start is not None:
            yield Abbreviation(short, start, end)


def _long_form(text: str, first: int, end: int, short: str) -> int | None:
    """The start of the shortest long form that ends at `end` and starts at `first` or later; None if there is none."""
    place = end
    letters = [letter for letter in short.lower() if letter.isalnum()]
    for number in range(len(letters) - 1, -1, -1):
        place -= 1
        while place >= first and (
            text[place].lower() != letters[number]
            or (number == 0 and place > first and text[place - 1].isalnum())
        ):
            place -= 1
        if place < first:
            return None
    return place if end - place > len(short) else None
