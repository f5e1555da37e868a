"""Texts compared by what they say: whether one holds another, whatever its case, punctuation and blanks."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

SPAN = 13
"""Words, or Chinese characters, that two texts must have in a row to be one text (Brown et al. 2020, "Language Models
are Few-Shot Learners", appendix C)."""
_CHINESE = "\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"[{_CHINESE}]|[^\W_{_CHINESE}]+")


def content_words(text: str) -> list[str]:
    """The words of a text without case, punctuation and marks; of Chinese the characters."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


@dataclass(frozen=True)
class KnownTexts:
    """Texts that are looked for in others. `spans`: digests of all their stretches of `SPAN` words; `short`: of those
    that have fewer, as a whole."""

    spans: frozenset[int]
    short: frozenset[int]

    @classmethod
    def of(cls, texts: Iterable[str]) -> KnownTexts:
        """Know these texts; those without any word are none."""
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
        """Whether the text has a stretch of `SPAN` words in common with one of these, or is one that is shorter."""
        words = content_words(text)
        if len(words) < SPAN:
            return bool(words) and _digest(words) in self.short
        return any(span in self.spans for span in _spans(words))


def _spans(words: list[str]) -> Iterator[int]:
    return (_digest(words[start : start + SPAN]) for start in range(len(words) - SPAN + 1))


def _digest(words: list[str]) -> int:
    """Of this process alone: nothing of it is kept."""
    return hash(" ".join(words))
