"""Similarity of pairs: correlations as in scipy, and the scale stored in the head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from kepipe.finetuning.fine_tuned import load
from kepipe.finetuning.predictor import Predictor
from kepipe.finetuning.similarity import correlation, measure, read
from kg.problems import Problems
from tests.support.tasks import base_model, finetune, write_task


def test_correlations_equal_scipy() -> None:
    rng = np.random.default_rng(1)
    gold = rng.integers(0, 6, 60).astype(float)  # with ties
    predicted = gold + rng.normal(0, 2, 60) + 100
    found = measure(gold, predicted)
    assert found["pearson"].score == pytest.approx(pearsonr(gold, predicted).statistic)
    assert found["spearman"].score == pytest.approx(spearmanr(gold, predicted).statistic)
    assert found["mean_absolute_error"].score == pytest.approx(np.abs(gold - predicted).mean())
    part = found["pearson"].value(found["pearson"].columns[:20].sum(0))
    assert float(part) == pytest.approx(pearsonr(gold[:20], predicted[:20]).statistic)


def test_a_constant_variable_has_correlation_zero() -> None:
    assert correlation(np.full(5, 3.0), np.arange(5.0)).score == 0


def test_invalid_similarity_scores_are_reported(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("score\ttext_a\ttext_b\n2.5\tx\ty\nhigh\tx\ty\nnan\tx\ty\n1\tx\t \n")
    problems = Problems()
    (example,) = read(tmp_path / "a.tsv", problems)
    assert (example.text, example.second, example.labels) == ("x", "y", ("2.5",))
    assert [problem.line for problem in problems.first] == [3, 4, 5]


def test_predictions_have_the_scale_of_the_training_data(tmp_path: Path) -> None:
    data = write_task(tmp_path, "similarity")
    made = finetune(tmp_path / "stage", base_model(tmp_path / "bert"), "similarity", data, epochs=16)
    assert made.scores()["test"]["mean_absolute_error"].value < 0.5
    opened = load(made.folder)
    assert opened.spec.labels == ("0.0", "5.0")
    answers = Predictor(opened).predict(["we saw a fine day ||| lovely rain", "awful rain ||| dull day"])
    assert answers[0]["predicted"] == pytest.approx(5, abs=1)
    assert answers[1]["predicted"] == pytest.approx(0, abs=1)


def test_constant_target_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("score\ttext_a\ttext_b\n" + "2\tx\ty\n" * 20)
    data = {"train": str(tmp_path / "a.tsv"), "dev": str(tmp_path / "a.tsv")}
    with pytest.raises(ValueError, match="all numbers of the data are 2"):
        finetune(tmp_path / "stage", base_model(tmp_path / "bert"), "similarity", data)
