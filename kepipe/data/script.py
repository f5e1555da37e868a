"""Detect whether a text is Chinese or English from its letters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

Language = Literal["en", "zh"]
SHARE = 0.3
"""Minimum share of Chinese characters among the letters of a Chinese text; names and terms in Latin letters are
frequent in it, the reverse is rare."""
FEWEST = 20
"""Minimum number of letters for a decision."""


def language_of(texts: Iterable[str], fewest: int = FEWEST) -> Language | None:
    """The language of all texts together; None if they have fewer than `fewest` letters, or letters of neither."""
    letters = [letter for text in texts for letter in text if letter.isalpha()]
    chinese = sum("\u4e00" <= letter <= "\u9fff" or "\u3400" <= letter <= "\u4dbf" for letter in letters)
    latin = sum(letter < "\u0250" for letter in letters)
    if chinese + latin < max(fewest, len(letters) / 2):
        return None
    return "zh" if chinese >= SHARE * (chinese + latin) else "en"
