"""Splitting and counting words, including Chinese."""

from __future__ import annotations

import re

from kg.surface import fold

_HAN = re.compile(r"[㐀-䶿一-鿿\U00020000-\U0003ffff]")


def is_chinese(text: str) -> bool:
    """Whether a text has more Chinese characters than words of other scripts."""
    return len(_HAN.findall(text)) > len(text.split())


def count_words(text: str) -> int:
    """The words of a text; each Chinese character counts as one."""
    others = _HAN.sub(" ", text).split()
    return len(_HAN.findall(text)) + sum(any(map(str.isalnum, word)) for word in others)


WORD = re.compile(r"[^\W_]+")


def split_words(text: str) -> list[str]:
    """The lower-cased words of a text; a run of Chinese characters is split into overlapping bigrams."""
    words: list[str] = WORD.findall(fold(text))
    return words if text.isascii() else [part for word in words for part in _pairs(word)]


def _pairs(word: str) -> list[str]:
    if word.isascii() or len(word) <= 2 or not "\u3040" <= word[0] <= "\u9fff":
        return [word]
    return [word[start : start + 2] for start in range(len(word) - 1)]
