"""Multi-label classification: metrics as in scikit-learn; "no label" is a valid prediction."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

from kepipe.finetuning.multi_label import measure, read
from kepipe.finetuning.predictor import Predictor
from kepipe.finetuning.records import pieces
from kg.problems import Problems
from tests.support.tasks import base_model, finetune, write_task


def test_multi_label_metrics_equal_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    gold, predicted = rng.random((80, 6)) < 0.3, rng.random((80, 6)) < 0.4
    gold[:, 5] = predicted[:, 5] = False  # a label that nothing has
    gold[:4], predicted[:4] = False, False  # texts without any
    found = {name: metric.score for name, metric in measure(gold, predicted).items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert found["micro_f1"] == pytest.approx(f1_score(gold, predicted, average="micro"))
        assert found["macro_f1"] == pytest.approx(f1_score(gold, predicted, average="macro", zero_division=0))
        assert found["micro_precision"] == pytest.approx(precision_score(gold, predicted, average="micro"))
        assert found["micro_recall"] == pytest.approx(recall_score(gold, predicted, average="micro"))
        assert found["sample_f1"] == pytest.approx(
            f1_score(gold, predicted, average="samples", zero_division=1)
        )
        assert found["exact_match"] == pytest.approx(accuracy_score(gold, predicted))


def test_multi_label_files_may_have_texts_without_a_label(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"text": "x", "labels": ["b", "a", "b"]}\n{"text": "y", "labels": []}\n{"text": "z"}\n'
        '{"text": "z", "labels": "a"}\n'
    )
    (tmp_path / "a.tsv").write_text("labels\ttext_a\na | b\tx\n\ty\n")
    problems = Problems()
    for name in ("a.jsonl", "a.tsv"):
        found = list(read(tmp_path / name, problems))
        assert [(example.text, example.labels) for example in found] == [("x", ("a", "b")), ("y", ())]
    assert problems.count == 2
    assert [problem.line for problem in problems.first] == [3, 4]


def test_predicting_no_label_counts_as_correct(tmp_path: Path) -> None:
    data = write_task(tmp_path, "multi-label")
    made = finetune(tmp_path / "stage", base_model(tmp_path / "bert"), "multi-label", data)
    records = [json.loads(line) for line in (made.folder / "predictions.jsonl").read_text().splitlines()]
    without = [record for record in records if record["labels"] == []]
    assert len(without) > 20
    assert np.mean([record["predicted"] == {} for record in without]) > 0.9
    assert pieces({"predicted": {}, "labels": []}) == (frozenset(), frozenset())
    (answer,) = Predictor.open(made.folder).predict(["the day was long"])
    assert "labels" not in answer  # unknown, which is not the same as none
    assert max(answer["highest"].values()) < 0.5
    assert answer["predicted"] == {}
