"""Calibration: the error by hand, a recovered temperature, and unchanged labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kepipe.finetuning.calibration import (
    BINS,
    calibration_error,
    decisions,
    fit_temperature,
    negative_log_likelihood,
)
from kepipe.finetuning.fine_tuned import HEAD
from kepipe.finetuning.label_output import probabilities
from kepipe.flow.events import Metrics
from kepipe.models.files import read_tensors
from tests.support.tasks import base_model, finetune, write_task
from tests.support.toy_training import EventRecorder


def by_hand(sure: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> float:
    """Σ_b n_b / n · |accuracy_b − confidence_b|, bins open below (Guo et al. 2017, eq. 2–3)."""
    error = 0.0
    for number in range(BINS):
        inside = (sure > number / BINS) & (sure <= (number + 1) / BINS)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - sure[inside].mean())
    return error


def test_calibration_error_equals_its_formula() -> None:
    rng = np.random.default_rng(0)
    sure, right = rng.uniform(0.3, 1, 200), rng.random(200) < 0.7
    cases = [(sure[start : start + 5], right[start : start + 5]) for start in range(0, 200, 5)]
    assert calibration_error(cases).score == pytest.approx(by_hand(sure, right))


def test_confidences_of_single_and_multi_label_predictions() -> None:
    words = np.array([[0.7, 0.3], [np.nan, np.nan], [0.4, 0.6]])
    ((sure, right),) = decisions([words], [np.array([0, 1, 0])], several=False)
    assert sure.tolist() == [0.7, 0.6]
    assert right.tolist() == [True, False]
    ((sure, right),) = decisions([np.array([[0.9, 0.2]])], [np.array([[True, True]])], several=True)
    assert sure.tolist() == [0.9, 0.8]
    assert right.tolist() == [True, False]


@pytest.mark.parametrize("several", [False, True])
def test_temperature_of_simulated_logits_is_recovered(several: bool) -> None:
    """Labels are drawn from softmax(z); the logits are 3 z, so the temperature is 3."""
    rng = np.random.default_rng(4)
    logits = rng.normal(0, 1.5, (4000, 4))
    true = probabilities(logits, several=several)
    if several:
        gold = [row[None] for row in rng.random(true.shape) < true]
    else:
        gold = [np.array([rng.choice(4, p=row)]) for row in true]

    def probable(temperature: float) -> list[Any]:
        return [row[None] for row in probabilities(3 * logits / temperature, several=several)]

    temperature = fit_temperature(probable, gold, several=several)
    assert temperature == pytest.approx(3, rel=0.08)
    before, after = (
        calibration_error(decisions(probable(t), gold, several=several)).score for t in (1.0, temperature)
    )
    assert after < 0.02 < before
    losses = [negative_log_likelihood(probable(t), gold, several=several) for t in (1.0, temperature)]
    assert losses[1] < losses[0]


@pytest.mark.parametrize("task", ["classification", "tagging", "typing"])
def test_calibration_scales_the_head_and_keeps_labels(tmp_path: Path, task: str) -> None:
    data = write_task(tmp_path, task, 120, 60)
    base = base_model(tmp_path / "bert")
    recorder = EventRecorder()
    plain = finetune(tmp_path / "plain", base, task, data, epochs=3)
    fitted = finetune(tmp_path / "fitted", base, task, data, recorder, epochs=3, calibrate=True)
    fits = [e.values for e in recorder.events if isinstance(e, Metrics) and "temperature" in e.values]
    assert [fit["temperature"] for fit in fits] != [pytest.approx(1, abs=0.02)]
    records = [
        [json.loads(line) for line in (made.folder / "predictions.jsonl").open()] for made in (plain, fitted)
    ]
    answers = [[sorted(record["predicted"]) for record in of_model] for of_model in records]
    assert answers[0] == answers[1]
    assert records[0] != records[1]
    assert read_tensors(plain.folder / HEAD)["dense.bias"] == pytest.approx(
        read_tensors(fitted.folder / HEAD)["dense.bias"] * fits[0]["temperature"], rel=1e-5
    )
