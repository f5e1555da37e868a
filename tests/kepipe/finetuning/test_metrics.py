"""Metrics against hand-counted cases and independent implementations."""

from __future__ import annotations

import numpy as np
import pytest
from seqeval.metrics import f1_score as span_f1
from seqeval.metrics import precision_score, recall_score
from sklearn.metrics import f1_score

from kepipe.finetuning import classification, relations, tagging, typing
from kepipe.finetuning.metrics import _resample, f1_of_counts, mean, share, summarise


def test_micro_f1_excludes_the_no_relation_class() -> None:
    labels = ("Other", "born", "lives")
    gold, predicted = np.array([0, 1, 1, 2, 0]), np.array([1, 1, 0, 2, 0])
    found = relations.measure(gold, predicted, labels)
    assert found["micro_f1"].score == pytest.approx(2 * 2 / (3 + 3))  # 2 right, 3 predicted, 3 given
    assert found["accuracy"].score == pytest.approx(3 / 5)
    assert "macro_f1" not in found


def test_micro_f1_equals_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels = ("A", "B", "C", "no_relation")
    gold, predicted = rng.integers(0, 4, 300), rng.integers(0, 4, 300)
    expected = f1_score(gold, predicted, labels=[0, 1, 2], average="micro")
    assert relations.measure(gold, predicted, labels)["micro_f1"].score == pytest.approx(expected)


def test_semeval_counts_a_wrong_direction_for_both_classes() -> None:
    labels = ("A(e1,e2)", "A(e2,e1)", "B(e1,e2)", "Other")
    gold, predicted = np.array([0, 0, 1, 2, 3]), np.array([0, 1, 1, 3, 2])
    found = relations.measure(gold, predicted, labels)["macro_f1"].score
    assert found == pytest.approx((2 * 2 / (3 + 3) + 0.0) / 2)  # A: 2 of 3 right; B: none


def test_loose_scores_by_hand() -> None:
    """Two mentions: given {a, b} predicted {a}; given {c} predicted {a, c}."""
    gold = np.array([[1, 1, 0], [0, 0, 1]], bool)
    predicted = np.array([[1, 0, 0], [1, 0, 1]], bool)
    found = {name: metric.score for name, metric in typing.measure(gold, predicted).items()}
    assert found["loose_micro_precision"] == pytest.approx(2 / 3)
    assert found["loose_micro_recall"] == pytest.approx(2 / 3)
    assert found["loose_micro_f1"] == pytest.approx(2 / 3)
    precision, recall = (1 + 1 / 2) / 2, (1 / 2 + 1) / 2
    assert found["loose_macro_f1"] == pytest.approx(2 * precision * recall / (precision + recall))
    assert found["strict"] == 0.0


def test_loose_micro_f1_equals_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    gold, predicted = rng.random((200, 7)) < 0.3, rng.random((200, 7)) < 0.3
    expected = f1_score(gold, predicted, average="micro")
    assert typing.measure(gold, predicted)["loose_micro_f1"].score == pytest.approx(expected)


def test_at_least_one_type_is_predicted() -> None:
    chosen = typing.choose(np.array([[0.1, 0.2], [0.9, 0.7]]))
    assert chosen.tolist() == [[False, True], [True, True]]


def test_reciprocal_ranks_by_hand() -> None:
    groups = np.array([0, 0, 0, 1, 1, 2])
    right = np.array([0, 1, 0, 1, 0, 0], bool)
    scores = np.array([0.9, 0.5, 0.1, 0.3, 0.3, 0.8])
    # second of three; tied with another, so the worse of two ranks; a question without answer does not count
    assert classification.reciprocal_ranks(groups, right, scores).tolist() == [0.5, 0.5]


def test_span_f1_equals_seqeval() -> None:
    rng = np.random.default_rng(2)
    names = ["O", "B-X", "I-X", "B-Y", "I-Y"]
    gold, predicted = ([[names[n] for n in rng.integers(0, 5, 12)] for _ in range(60)] for _ in range(2))
    found = {name: metric.score for name, metric in tagging.measure(gold, predicted).items()}
    assert found["span_f1"] == pytest.approx(span_f1(gold, predicted))
    assert found["span_precision"] == pytest.approx(precision_score(gold, predicted))
    assert found["span_recall"] == pytest.approx(recall_score(gold, predicted))


def test_span_with_a_wrong_type_is_wrong() -> None:
    found = tagging.measure([["B-X", "I-X", "O"]], [["B-Y", "I-Y", "O"]])
    assert found["span_f1"].score == 0.0


def test_bootstrap_intervals_have_their_nominal_coverage() -> None:
    rng = np.random.default_rng(3)
    held = 0
    for round in range(200):
        told = summarise({"share": mean(rng.random(100) < 0.3)}, seed=round)["share"]
        held += told.low <= 0.3 <= told.high
    assert 0.88 <= held / 200 <= 0.99


def test_few_cases_have_no_interval() -> None:
    told = summarise({"share": mean(np.array([1, 0, 1]))}, seed=0)["share"]
    assert (told.value, told.low, told.cases) == (pytest.approx(2 / 3), None, 3)
    assert summarise({"share": mean(np.array([1, 0, 1, 0]))}, seed=0)["share"].high is None
    five = summarise({"share": mean(np.array([1, 0, 1, 0, 1]))}, seed=0)["share"]
    assert five.low is not None
    assert five.low < five.value < five.high


def test_two_thousand_samples_of_all_cases_are_drawn() -> None:
    sums = _resample(np.ones((7, 3)), seed=0)
    assert sums.shape == (2000, 3)
    assert (sums == 7).all()


def test_share_and_f1_of_one_case_or_none() -> None:
    one, none = np.array([1]), np.array([0])
    assert (share(one, one).score, share(none, one).score, share(none, none).score) == (1.0, 0.0, 0.0)
    assert (f1_of_counts(one, one, one).score, f1_of_counts(none, none, none).score) == (1.0, 0.0)
