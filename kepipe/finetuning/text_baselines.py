"""Answers to text-to-text examples without a model: the most frequent target, and the first words of the text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from statistics import median_low

from kepipe.finetuning.examples import Example
from kepipe.finetuning.text_metrics import word_spans


def baseline_answers(train: Sequence[Example], examples: Sequence[Example]) -> Mapping[str, list[str]]:
    """`most_frequent`: the most frequent target of `train`, the first of equally frequent ones; `first_words`: as many
    words of the example's own text (Chinese: characters) as the median target of `train` has ("lead" in
    summarisation)."""
    targets = [example.gold[0] for example in train]
    (most_frequent, _), *_ = Counter(targets).most_common(1)
    words = max(1, median_low([sum(1 for _ in word_spans(target)) for target in targets]))
    return {
        "most_frequent": [most_frequent] * len(examples),
        "first_words": [first_words(example.text, words) for example in examples],
    }


def first_words(text: str, number: int) -> str:
    """The text from its first to its `number`-th word, without punctuation before and after; the whole text if it has
    no word."""
    spans = list(islice(word_spans(text), number))
    return text[spans[0].start : spans[-1].end] if spans else text
