"""Metrics of a test's easier and harder half, by properties that decide whether context is worth its cost.

After Arora et al. 2020, "Contextual Embeddings: When Are They Worth It?", §4: complexity of the text, ambiguity of its
words, and words that training never saw. A half is that at or below the median of the test's texts, or that above it.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kepipe.arrays import Bools, Floats
from kepipe.finetuning.conll import OUTSIDE
from kepipe.finetuning.examples import Example

SliceName = Literal["complexity", "ambiguity", "unseen"]
WORD = re.compile(r"[\u3400-\u9fff]|[^\W_]+")
"""A word, or a Chinese character."""


@dataclass(frozen=True)
class WordsOfText:
    """The lower-case words of an example, of both texts of a pair. `labels`: of each word if `tagged`, else of the
    text."""

    words: list[str]
    labels: tuple[str, ...]
    tagged: bool

    @classmethod
    def of(cls, example: Example, *, tagged: bool) -> WordsOfText:
        """`tagged`: whether each word has a label."""
        if tagged:
            words = [example.text[span.start : span.end].lower() for span in example.spans]
        else:
            words = WORD.findall(f"{example.text} {example.second}".lower())
        return cls(words, example.gold, tagged)

    def labelled(self) -> Iterator[tuple[str, str]]:
        """Each word with its label, or with each label of the text."""
        if self.tagged:
            yield from zip(self.words, self.labels, strict=True)
        else:
            yield from ((word, label) for word in self.words for label in self.labels)


Values = Callable[[Sequence[WordsOfText], Sequence[WordsOfText]], Iterable[float]]
"""Training texts, texts of the test → the property of each of the latter; NaN: it has none."""


@dataclass(frozen=True)
class Property:
    """A row: names of the lower and the upper half, and how the property is computed."""

    lower: str
    upper: str
    values: Values


def complexity(_training: Sequence[WordsOfText], texts: Sequence[WordsOfText]) -> Iterator[float]:
    """The number of words of a text; of a tagged sentence the mean length of its spans in words."""
    for text in texts:
        begins = sum(label.startswith("B-") for label in text.labels)
        inside = sum(label != OUTSIDE for label in text.labels)
        yield len(text.words) if not text.tagged else inside / begins if begins else np.nan


def ambiguity(training: Sequence[WordsOfText], texts: Sequence[WordsOfText]) -> Iterator[float]:
    """The mean over a text's words of the entropy, in bits, of the labels that a word has in training; words that
    training never saw are left out."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for text in training:
        for word, label in text.labelled():
            counts[word][label] += 1
    entropies = {word: _entropy(labels.values()) for word, labels in counts.items()}
    for text in texts:
        known = [entropies[word] for word in text.words if word in entropies]
        yield float(np.mean(known)) if known else np.nan


def unseen(training: Sequence[WordsOfText], texts: Sequence[WordsOfText]) -> Iterator[float]:
    """The share of a text's words that training never saw."""
    seen = {word for text in training for word in text.words}
    for text in texts:
        yield float(np.mean([word not in seen for word in text.words])) if text.words else np.nan


PROPERTIES: Mapping[SliceName, Property] = {
    "complexity": Property("simple", "complex", complexity),
    "ambiguity": Property("unambiguous", "ambiguous", ambiguity),
    "unseen": Property("familiar", "unfamiliar", unseen),
}


def halves(
    names: Iterable[SliceName], training: Sequence[Example], examples: Sequence[Example], *, tagged: bool
) -> dict[str, Bools]:
    """Name of a half → whether it has each example, bool [N]. `tagged`: whether each word has a label."""
    learned, asked = ([WordsOfText.of(e, tagged=tagged) for e in some] for some in (training, examples))
    found: dict[str, Bools] = {}
    for name in names:
        row = PROPERTIES[name]
        values_N: Floats = np.fromiter(row.values(learned, asked), np.float64, len(asked))
        known_N = ~np.isnan(values_N)
        middle = np.median(values_N[known_N]) if known_N.any() else 0.0
        found |= {row.lower: known_N & (values_N <= middle), row.upper: known_N & (values_N > middle)}
    return found


def names_of_halves(names: Iterable[SliceName]) -> list[str]:
    """Names of the halves of these properties."""
    return [half for name in names for half in (PROPERTIES[name].lower, PROPERTIES[name].upper)]


def _entropy(counts: Iterable[int]) -> float:
    shares = np.array(list(counts), np.float64)
    shares /= shares.sum()
    return float(-(shares * np.log2(shares)).sum())
