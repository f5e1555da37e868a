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

_WORD = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]|[^\W_\u3400-\u4dbf\u4e00-\u9fff]+")
"""A Chinese character, or a run of letters and digits."""
_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_ROUGE = {"rouge1": "rouge_1", "rouge2": "rouge_2", "rougeL": "rouge_l"}
NAMES = (*_ROUGE.values(), "bleu", "chrf", "exact_match", "token_f1")
"""Of the metrics of `measure_texts`."""


def words(text: str) -> list[str]:
    """What is compared: words and Chinese characters in lower case, without punctuation."""
    return _WORD.findall(text.lower())


def normalised(text: str) -> list[str]:
    """The words of an answer without English articles, as SQuAD compares answers (Rajpurkar et al. 2016, §4)."""
    return words(_ARTICLE.sub(" ", text.lower()))


def measure_texts(answers: Sequence[str], targets: Sequence[str]) -> dict[str, Metric]:
    """Of texts written and texts wanted: `rouge_l` and its kind as the mean F of texts (Lin 2004; package
    rouge-score, without stemming), `bleu` of the corpus (package sacrebleu), `chrf` as the mean of texts, `exact_match`
    and `token_f1` as SQuAD has them. All between 0 and 1."""
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu.metrics.chrf import CHRF

    pairs = list(zip(answers, targets, strict=True))
    scorer = RougeScorer(list(_ROUGE), tokenizer=_Words())
    found = [scorer.score(target, answer) for answer, target in pairs]
    chrf = CHRF()
    return {
        **{_ROUGE[name]: mean(np.array([score[name].fmeasure for score in found])) for name in _ROUGE},
        "bleu": bleu(pairs),
        "chrf": mean(
            np.array([chrf.sentence_score(answer, [target]).score / 100 for answer, target in pairs])
        ),
        "exact_match": mean(np.array([normalised(answer) == normalised(target) for answer, target in pairs])),
        "token_f1": mean(
            np.array([_token_f1(normalised(answer), normalised(target)) for answer, target in pairs])
        ),
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


def _token_f1(answer: Sequence[str], target: Sequence[str]) -> float:
    same = (Counter(answer) & Counter(target)).total()
    return 2 * same / (len(answer) + len(target)) if answer or target else 1.0
