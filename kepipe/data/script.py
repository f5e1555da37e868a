"""Detect whether a text is Chinese or English from its letters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

Language = Literal["en", "zh"]
SHARE = 0.3
"""Share of Chinese characters among a text's letters from which it is Chinese: names and terms in Latin letters are
frequent in Chinese text, the reverse is rare."""
FEWEST = 20
"""The least number of letters for a decision."""


def language_of(texts: Iterable[str], fewest: int = FEWEST) -> Language | None:
    """The language of the texts together; None where there are fewer than `fewest` letters, or letters of neither."""
    letters = [letter for text in texts for letter in text if letter.isalpha()]
    chinese = sum("\u4e00" <= letter <= "\u9fff" or "\u3400" <= letter <= "\u4dbf" for letter in letters)
    latin = sum(letter < "\u0250" for letter in letters)
    if chinese + latin < max(fewest, len(letters) / 2):
        return None
    return "zh" if chinese >= SHARE * (chinese + latin) else "en"
