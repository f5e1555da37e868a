"""Small texts, n-gram models of them, and reference models computed word by word from the published equations."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from kepipe.arrays import Ints
from kepipe.models.ngram.counting import BOS, EOS, Counts, count
from kepipe.models.ngram.estimation import Estimator
from kepipe.models.ngram.pruning import Pruning
from kepipe.models.ngram.smoothing import SMOOTHINGS
from kepipe.models.ngram.tables import NgramTables, TableWriter, open_tables

Ngram = tuple[int, ...]
Text = Sequence[Sequence[int]]


def zipf(seed: int, sentences: int, words: int, length: int = 9) -> list[list[int]]:
    """Sentences of word ids from 3 with a Zipf distribution."""
    rng = np.random.default_rng(seed)
    return [(3 + rng.zipf(1.4, rng.integers(0, length)) % (words - 3)).tolist() for _ in range(sentences)]


def stream(text: Text) -> Ints:
    """The sentences in sequence, with end tokens."""
    return np.array([word for sentence in text for word in (BOS, *sentence, EOS)], np.int64)


def counted(text: Text, words: int, order: int, folder: Path) -> Counts:
    return count([stream(text)], words, order, folder)


def estimated(
    text: Text,
    words: int,
    order: int,
    smoothing: str,
    folder: Path,
    prune: tuple[int, ...] = (0,),
    k: float = 1.0,
) -> NgramTables:
    """A fitted model, written to a folder and memory-mapped."""
    counts = counted(text, words, order, folder / "counts")
    Estimator(counts, SMOOTHINGS[smoothing], Pruning.of(prune, order), k).write(TableWriter(folder / "model"))
    return open_tables(folder / "model", order, counts.bits)


def occurrences(text: Text, order: int) -> Counter[Ngram]:
    """The n-grams of an order that lie within a sentence and predict a word."""
    counts: Counter[Ngram] = Counter()
    for sentence in text:
        words = (BOS, *sentence, EOS)
        counts.update(words[end - order + 1 : end + 1] for end in range(max(1, order - 1), len(words)))
    return counts


@dataclass(eq=False)
class KneserNey:
    """Modified Kneser-Ney by the equations of Chen & Goodman 1998 (section 3), with dictionaries and recursion,
    independent of kepipe's code. Unseen words have their share of the uniform distribution."""

    text: Text
    words: int
    order: int
    prune: tuple[int, ...] = ()
    counts: list[dict[Ngram, int]] = field(init=False)

    def __post_init__(self) -> None:
        raw = [occurrences(self.text, n) for n in range(1, self.order + 1)]
        self.raw, self.counts = raw, []
        for n in range(1, self.order + 1):
            if n == self.order:
                self.counts.append(dict(raw[n - 1]))
                continue
            predecessors: dict[Ngram, set[int]] = defaultdict(set)
            for ngram in raw[n]:
                predecessors[ngram[1:]].add(ngram[0])
            adjusted = {ngram: len(words) for ngram, words in predecessors.items()}
            adjusted |= {ngram: c for ngram, c in raw[n - 1].items() if ngram[0] == BOS}
            self.counts.append(adjusted)
        self.children: list[dict[Ngram, list[Ngram]]] = []
        for of_order in self.counts:
            by_context: dict[Ngram, list[Ngram]] = defaultdict(list)
            for ngram in of_order:
                by_context[ngram[:-1]].append(ngram)
            self.children.append(by_context)

    def kept(self, ngram: Ngram) -> bool:
        limit = self.prune[len(ngram) - 1] if len(ngram) <= len(self.prune) else 0
        return len(ngram) == 1 or self.raw[len(ngram) - 1][ngram] > limit

    @cache  # noqa: B019
    def discount(self, order: int) -> tuple[float, ...]:
        n = Counter(self.counts[order - 1].values())
        if not (n[1] and n[2] and n[3]):
            return (0, 0.5, 1, 1.5)
        y = n[1] / (n[1] + 2 * n[2])
        discounts = (0, 1 - 2 * y * n[2] / n[1], 2 - 3 * y * n[3] / n[2], 3 - 4 * y * n[4] / n[3])
        return discounts if all(0 <= d <= j for j, d in enumerate(discounts)) else (0, 0.5, 1, 1.5)

    def p(self, word: int, context: Ngram) -> float:
        """p(word | context); the context is truncated to the model's order."""
        return self._p(word, context[max(0, len(context) - self.order + 1) :])

    @cache  # noqa: B019
    def _p(self, word: int, context: Ngram) -> float:
        order = len(context) + 1
        lower = self._p(word, context[1:]) if context else 1 / (self.words - 1)
        children = self.children[order - 1].get(context, [])
        if not children:
            return lower
        counts = self.counts[order - 1]
        total = sum(counts[child] for child in children)
        d = self.discount(order)
        ngram = (*context, word)
        discounted = {
            child: counts[child] - d[min(3, counts[child])] for child in children if self.kept(child)
        }
        return discounted.get(ngram, 0.0) / total + (1 - sum(discounted.values()) / total) * lower


def contexts_of(text: Text, extra: Iterable[Ngram] = ()) -> list[Ngram]:
    """The context of each word of a text, from the beginning of its sentence."""
    contexts = {(BOS, *sentence[:length]) for sentence in text for length in range(len(sentence) + 1)}
    return sorted(contexts | set(extra))
