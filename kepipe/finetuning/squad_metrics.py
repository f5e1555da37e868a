"""SQuAD's exact match and token F1 (Rajpurkar et al. 2016, §4; 2018, §4), as in its evaluation script.

Each Chinese character is a word, as in CMRC 2018.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_CHINESE = re.compile(r"([\u3400-\u4dbf\u4e00-\u9fff])")


def answer_words(text: str) -> list[str]:
    """The words of an answer, lower-cased, without punctuation and English articles."""
    kept = "".join(character for character in text.lower() if not _is_punctuation(character))
    return _CHINESE.sub(r" \1 ", _ARTICLE.sub(" ", kept)).split()


def _is_punctuation(character: str) -> bool:
    """For ASCII as in Python's `string.punctuation`, which includes `$` and `+`; otherwise, punctuation of Chinese
    text."""
    if character.isascii():
        return character.isprintable() and not character.isalnum() and not character.isspace()
    return character >= "\u2e80" and unicodedata.category(character).startswith("P")


def exact_match(answer: str, golds: Sequence[str]) -> float:
    """1 if the answer equals a gold answer, else 0. Without gold answers, "" is correct."""
    words = answer_words(answer)
    return float(any(words == answer_words(gold) for gold in _golds(golds)))


def token_f1(answer: str, golds: Sequence[str]) -> float:
    """The largest F1 of the answer's words with those of a gold answer. If one has no words: 1 if the other has none,
    else 0."""
    words = answer_words(answer)
    return max(_f1(words, answer_words(gold)) for gold in _golds(golds))


def _golds(golds: Sequence[str]) -> Sequence[str]:
    """The gold answers, without those of only punctuation and articles; [""] if none is left."""
    return [gold for gold in golds if answer_words(gold)] or [""]


def _f1(answer: Sequence[str], gold: Sequence[str]) -> float:
    if not answer or not gold:
        return float(answer == gold)
    same = (Counter(answer) & Counter(gold)).total()
    return 2 * same / (len(answer) + len(gold))
