"""SQuAD's exact match and F1 of words (Rajpurkar et al. 2016, §4; 2018, §4), as its evaluation script compares answers.

Chinese characters are words of their own, as in CMRC 2018.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_CHINESE = re.compile(r"([\u3400-\u4dbf\u4e00-\u9fff])")


def answer_words(text: str) -> list[str]:
    """An answer in lower case without punctuation and English articles, in words."""
    kept = "".join(character for character in text.lower() if not _is_punctuation(character))
    return _CHINESE.sub(r" \1 ", _ARTICLE.sub(" ", kept)).split()


def _is_punctuation(character: str) -> bool:
    """Of ASCII as Python's `string.punctuation` has it, which counts `$` and `+`; beyond it, of Chinese text."""
    if character.isascii():
        return character.isprintable() and not character.isalnum() and not character.isspace()
    return character >= "\u2e80" and unicodedata.category(character).startswith("P")


def exact_match(answer: str, golds: Sequence[str]) -> float:
    """1 where the answer is one of the true ones, else 0. No true answer: "" is right."""
    words = answer_words(answer)
    return float(any(words == answer_words(gold) for gold in _golds(golds)))


def token_f1(answer: str, golds: Sequence[str]) -> float:
    """The F1 of the words of an answer and those of the true answer that is nearest. Where one has no words, 1 if the
    other has none, else 0."""
    words = answer_words(answer)
    return max(_f1(words, answer_words(gold)) for gold in _golds(golds))


def _golds(golds: Sequence[str]) -> Sequence[str]:
    """Without the true answers that are nothing but punctuation and articles, where there are others."""
    return [gold for gold in golds if answer_words(gold)] or [""]


def _f1(answer: Sequence[str], gold: Sequence[str]) -> float:
    if not answer or not gold:
        return float(answer == gold)
    same = (Counter(answer) & Counter(gold)).total()
    return 2 * same / (len(answer) + len(gold))
