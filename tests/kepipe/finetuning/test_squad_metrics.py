"""SQuAD's exact match and F1, against a reimplementation of its evaluation script."""

from __future__ import annotations

import collections
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kepipe.finetuning.squad_metrics import answer_words, exact_match, token_f1


def normalize_answer(s: str) -> str:
    """As in evaluate-v2.0.py, step by step."""
    lowered = "".join(ch for ch in s.lower() if ch not in set(string.punctuation))
    return " ".join(re.sub(re.compile(r"\b(a|an|the)\b", re.UNICODE), " ", lowered).split())


def compute_f1(a_gold: str, a_pred: str) -> float:
    gold_toks, pred_toks = normalize_answer(a_gold).split(), normalize_answer(a_pred).split()
    num_same = sum((collections.Counter(gold_toks) & collections.Counter(pred_toks)).values())
    if len(gold_toks) == 0 or len(pred_toks) == 0:
        return int(gold_toks == pred_toks)
    if num_same == 0:
        return 0
    precision, recall = num_same / len(pred_toks), num_same / len(gold_toks)
    return (2 * precision * recall) / (precision + recall)


def get_raw_scores(golds: list[str], prediction: str) -> tuple[float, float]:
    gold_answers = [gold for gold in golds if normalize_answer(gold)] or [""]
    exact = max(int(normalize_answer(gold) == normalize_answer(prediction)) for gold in gold_answers)
    return exact, max(compute_f1(gold, prediction) for gold in gold_answers)


WORDS = st.sampled_from(
    ["the", "a", "U.S.", "moon", "Moon's", "1,000", "(Io)", "$5", "—", "é", "an apple", "", "x-y"]
)
ANSWERS = st.lists(WORDS, max_size=5).map(" ".join)


@given(st.lists(ANSWERS, max_size=3), ANSWERS)
def test_squad_metrics_equal_the_official_script(golds: list[str], answer: str) -> None:
    exact, f1 = get_raw_scores(golds, answer)
    assert exact_match(answer, golds) == exact
    assert token_f1(answer, golds) == pytest.approx(f1)


def test_empty_prediction_is_right_only_without_an_answer() -> None:
    assert (exact_match("", []), token_f1("", [])) == (1, 1)
    assert (exact_match("moon", []), token_f1("moon", [])) == (0, 0)
    assert (exact_match("", ["moon"]), token_f1("", ["moon"])) == (0, 0)


def test_chinese_is_compared_by_characters() -> None:
    assert answer_words("北京，中国 2008") == ["北", "京", "中", "国", "2008"]
    assert token_f1("北京", ["中国北京"]) == pytest.approx(2 * 2 / 6)
