"""The ranker's loss on a device equals that on the CPU and synchronises only for its result."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kepipe.linking.features.affinity import Affinity
from kepipe.linking.features.describe import FEATURES
from kepipe.linking.ranking.logistic_loss import NumpyLoss, TorchLoss, logistic_loss
from kepipe.linking.ranking.ranker import fit

PLACES, WIDTH = 300, len(FEATURES)


@pytest.fixture
def drawn() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, labels, sample weights."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(PLACES, WIDTH)), rng.random(PLACES) < 0.3, rng.uniform(0.2, 1.0, PLACES)


@pytest.mark.parametrize("scale", [0.1, 1.0, 1000.0])
def test_ranker_loss_and_gradient_on_a_device_equal_the_cpu(
    drawn: tuple[np.ndarray, np.ndarray, np.ndarray], scale: float
) -> None:
    features, right, importance = drawn
    weights = scale * np.random.default_rng(1).normal(size=WIDTH + 1)
    sign = np.where(right, 1.0, -1.0)
    value, slope = TorchLoss.of(features, sign, importance, "cpu")(weights)
    expected, expected_slope = NumpyLoss(features, sign, importance)(weights)
    assert value == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(slope, expected_slope, rtol=1e-9, atol=1e-9)


def test_ranker_loss_stays_on_the_device(drawn: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """The device "meta" has no values: synchronisation would fail."""
    features, right, importance = drawn
    found = logistic_loss(features, right, importance, "meta")
    assert isinstance(found, TorchLoss)
    result = found.value_and_gradient(torch.zeros(WIDTH + 1, dtype=torch.float64, device="meta"))
    assert (result.device.type, result.shape, result.dtype) == ("meta", (WIDTH + 2,), torch.float64)
    assert isinstance(logistic_loss(features, right, importance, "mps:0"), NumpyLoss), "it has no doubles"


def test_ranker_fitted_on_a_device_equals_the_cpus(
    drawn: tuple[np.ndarray, np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    on_device = TorchLoss.of

    def on_a_cpu_after_all(*given: object) -> TorchLoss:
        asked.append(str(given[-1]))
        return on_device(*given[:-1], "cpu")  # type: ignore[arg-type]

    monkeypatch.setattr(TorchLoss, "of", on_a_cpu_after_all)
    expected, found = (fit(*drawn, Affinity(), device=device) for device in ("cpu", "cuda:1"))
    assert asked == ["cuda:1"]
    np.testing.assert_allclose(found.weights, expected.weights, atol=1e-6)
    assert found.bias == pytest.approx(expected.bias, abs=1e-6)
