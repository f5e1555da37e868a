"""Metrics of generated texts: ROUGE, BLEU, chrF, and SQuAD's exact match and token F1."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from kepipe.arrays import Floats
from kepipe.data.document import Span
from kepipe.data.script import language_of
from kepipe.finetuning.metrics import Metric, mean
from kepipe.finetuning.squad_metrics import exact_match, token_f1

_WORD = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]|[^\W_\u3400-\u4dbf\u4e00-\u9fff]+")
"""A Chinese character, or a run of letters and digits."""
_ROUGE = {"rouge1": "rouge_1", "rouge2": "rouge_2", "rougeL": "rouge_l"}
NAMES = (*_ROUGE.values(), "bleu", "chrf", "exact_match", "token_f1")
"""Names of the metrics of `measure_texts`."""


def word_spans(text: str) -> Iterator[Span]:
    """Where the words and Chinese characters of a text are."""
    return (Span(*found.span()) for found in _WORD.finditer(text))


def words(text: str) -> list[str]:
    """Lower-cased words and Chinese characters, without punctuation."""
    return _WORD.findall(text.lower())


def measure_texts(answers: Sequence[str], targets: Sequence[Sequence[str]]) -> dict[str, Metric]:
    """Metrics of answers, each against one or more targets: `rouge_1`, `rouge_2`, `rouge_l` as the mean F over texts
    (Lin 2004; package rouge-score, without stemming) and corpus `bleu` and `chrf` (package sacrebleu) against the first
    target; `exact_match` and `token_f1` against the best, as in SQuAD. All between 0 and 1."""
    from rouge_score.rouge_scorer import RougeScorer

    answered = list(zip(answers, targets, strict=True))
    pairs = [(answer, golds[0]) for answer, golds in answered]
    scorer = RougeScorer(list(_ROUGE), tokenizer=_Words())
    found = [scorer.score(target, answer) for answer, target in pairs]
    return {
        **{_ROUGE[name]: mean(np.array([score[name].fmeasure for score in found])) for name in _ROUGE},
        "bleu": bleu(pairs),
        "chrf": chrf(pairs),
        "exact_match": mean(np.array([exact_match(answer, golds) for answer, golds in answered])),
        "token_f1": mean(np.array([token_f1(answer, golds) for answer, golds in answered])),
    }


class _Words:
    """The tokenizer for rouge-score."""

    def tokenize(self, text: str) -> list[str]:
        return words(text)


def bleu(pairs: Sequence[tuple[str, str]]) -> Metric:
    """Corpus BLEU with sacrebleu's smoothing, from the n-gram counts of each text; Chinese by characters. N-gram
    orders for which no text is long enough are skipped."""
    from sacrebleu.metrics.bleu import BLEU

    chinese = language_of([target for _, target in pairs], fewest=1) == "zh"
    scorer = BLEU(tokenize="zh" if chinese else "13a")
    scores = [scorer.corpus_score([answer], [[target]]) for answer, target in pairs]
    columns_N = np.array([[*s.counts, *s.totals, s.sys_len, s.ref_len] for s in scores], np.float64)

    def value(sums: Floats) -> Any:
        flat = sums.reshape(-1, sums.shape[-1]).round().astype(int).tolist()
        found = [
            BLEU.compute_bleu(
                row[:4], row[4:8], row[8], row[9], smooth_method="exp", effective_order=True
            ).score
            / 100
            for row in flat
        ]
        return np.array(found).reshape(sums.shape[:-1])

    return Metric(columns_N, value)


ORDER = 6
"""The largest n-gram order of chrF, in characters."""
BETA = 2.0
"""The weight β of recall in chrF."""


def chrf(pairs: Sequence[tuple[str, str]]) -> Metric:
    """Corpus chrF (Popović 2015; β = 2, character n-grams up to 6, without spaces), as in sacrebleu: precision and
    recall over the n-grams of all texts, averaged over the orders that both sides have. N-grams of an order that a
    target lacks are not counted."""
    columns_NK = np.array(
        [np.concatenate([_ngram_counts(*pair, n) for n in range(1, ORDER + 1)]) for pair in pairs]
    )

    def value(sums: Floats) -> Any:
        answered, wanted, same = np.moveaxis(sums.reshape(*sums.shape[:-1], ORDER, 3), -1, 0)
        on_both_sides = (answered > 0) & (wanted > 0)
        orders = np.maximum(on_both_sides.sum(axis=-1), 1)
        precision, recall = (
            np.where(on_both_sides, same / np.maximum(of, 1), 0).sum(axis=-1) / orders
            for of in (answered, wanted)
        )
        both = BETA**2 * precision + recall
        return np.where(both > 0, (1 + BETA**2) * precision * recall / np.where(both > 0, both, 1), 0.0)

    return Metric(columns_NK, value)


def _ngram_counts(answer: str, target: str, n: int) -> Floats:
    """Numbers of n-grams of the answer (0 if the target is too short), of the target, and of both, float [3]."""
    texts = ("".join(text.split()) for text in (answer, target))
    one, other = (Counter(text[at : at + n] for at in range(len(text) - n + 1)) for text in texts)
    return np.array([one.total() if other else 0, other.total(), (one & other).total()], np.float64)
