"""How near texts that were written are to those wanted: ROUGE, BLEU, chrF, SQuAD's exact match and F1 of words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from kepipe.arrays import Floats
from kepipe.data.script import language_of
from kepipe.finetuning.metrics import Metric, mean
from kepipe.finetuning.squad_metrics import exact_match, token_f1

_WORD = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]|[^\W_\u3400-\u4dbf\u4e00-\u9fff]+")
"""A Chinese character, or a run of letters and digits."""
_ROUGE = {"rouge1": "rouge_1", "rouge2": "rouge_2", "rougeL": "rouge_l"}
NAMES = (*_ROUGE.values(), "bleu", "chrf", "exact_match", "token_f1")
"""Of the metrics of `measure_texts`."""


def words(text: str) -> list[str]:
    """What is compared: words and Chinese characters in lower case, without punctuation."""
    return _WORD.findall(text.lower())


def measure_texts(answers: Sequence[str], targets: Sequence[str]) -> dict[str, Metric]:
    """Of texts written and texts wanted: `rouge_l` and its kind as the mean F of texts (Lin 2004; package
    rouge-score, without stemming), `bleu` and `chrf` of the corpus (package sacrebleu), `exact_match` and `token_f1` as
    SQuAD has them. All between 0 and 1."""
    from rouge_score.rouge_scorer import RougeScorer

    pairs = list(zip(answers, targets, strict=True))
    scorer = RougeScorer(list(_ROUGE), tokenizer=_Words())
    found = [scorer.score(target, answer) for answer, target in pairs]
    return {
        **{_ROUGE[name]: mean(np.array([score[name].fmeasure for score in found])) for name in _ROUGE},
        "bleu": bleu(pairs),
        "chrf": chrf(pairs),
        "exact_match": mean(np.array([exact_match(answer, [target]) for answer, target in pairs])),
        "token_f1": mean(np.array([token_f1(answer, [target]) for answer, target in pairs])),
    }


class _Words:
    """How rouge-score cuts a text."""

    def tokenize(self, text: str) -> list[str]:
        return words(text)


def bleu(pairs: Sequence[tuple[str, str]]) -> Metric:
    """BLEU of the corpus, with sacrebleu's smoothing, from what each text adds to its sums; Chinese by characters.
    Orders for which no text is long enough do not count."""
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
"""Characters of the longest n-gram of chrF."""
BETA = 2.0
"""How often recall counts in chrF for each precision."""


def chrf(pairs: Sequence[tuple[str, str]]) -> Metric:
    """chrF of the corpus (Popović 2015; β 2, n-grams of up to 6 characters without blanks), as sacrebleu has it:
    precision and recall are of the n-grams of all texts, each the mean over the orders that both sides have. N-grams
    of a length that a target has not do not count."""
    columns_NK = np.array(
        [np.concatenate([_ngram_counts(*pair, n) for n in range(1, ORDER + 1)]) for pair in pairs]
    )

    def value(sums: Floats) -> Any:
        answered, wanted, same = np.moveaxis(sums.reshape(*sums.shape[:-1], ORDER, 3), -1, 0)
        there = (answered > 0) & (wanted > 0)
        orders = np.maximum(there.sum(axis=-1), 1)
        precision, recall = (
            np.where(there, same / np.maximum(of, 1), 0).sum(axis=-1) / orders for of in (answered, wanted)
        )
        both = BETA**2 * precision + recall
        return np.where(both > 0, (1 + BETA**2) * precision * recall / np.where(both > 0, both, 1), 0.0)

    return Metric(columns_NK, value)


def _ngram_counts(answer: str, target: str, n: int) -> Floats:
    """N-grams of the answer, 0 where the target is too short for any, of the target, and of both, float [3]."""
    texts = ("".join(text.split()) for text in (answer, target))
    one, other = (Counter(text[at : at + n] for at in range(len(text) - n + 1)) for text in texts)
    return np.array([one.total() if other else 0, other.total(), (one & other).total()], np.float64)
