"""Detection of duplicate text: whether one text contains another, ignoring case, punctuation and white space."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

SPAN = 13
"""Consecutive words, or Chinese characters, that two texts must share to count as duplicates (Brown et al. 2020,
"Language Models are Few-Shot Learners", appendix C)."""
_CHINESE = "\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"[{_CHINESE}]|[^\W_{_CHINESE}]+")


def content_words(text: str) -> list[str]:
    """The normalised words of a text, without case, punctuation and diacritics; Chinese is split into characters."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


@dataclass(frozen=True)
class KnownTexts:
    """An index of texts to search for. `spans`: digests of all their n-grams of `SPAN` words; `short`: digests of
    whole texts with fewer words."""

    spans: frozenset[int]
    short: frozenset[int]

    @classmethod
    def of(cls, texts: Iterable[str]) -> KnownTexts:
        """Index these texts; texts without words are skipped."""
        spans: set[int] = set()
        short: set[int] = set()
        for text in texts:
            words = content_words(text)
            if len(words) >= SPAN:
                spans.update(_spans(words))
            elif words:
                short.add(_digest(words))
        return cls(frozenset(spans), frozenset(short))

    def found_in(self, text: str) -> bool:
        """Whether the text shares an n-gram of `SPAN` words with an indexed text, or equals a shorter one."""
        words = content_words(text)
        if len(words) < SPAN:
            return bool(words) and _digest(words) in self.short
        return any(span in self.spans for span in _spans(words))


def _spans(words: list[str]) -> Iterator[int]:
    return (_digest(words[start : start + SPAN]) for start in range(len(words) - SPAN + 1))


def _digest(words: list[str]) -> int:
    """A digest that is only valid within this process."""
    return hash(" ".join(words))
