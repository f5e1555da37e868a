"""Class weights in the loss: scikit-learn's balanced weights and effective numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.utils.class_weight import compute_class_weight

from kepipe.finetuning.class_weights import BETA, effective_number, label_weights
from kepipe.finetuning.heads import loss
from kepipe.finetuning.output import LossSettings

COUNTS = [90, 9, 1]
LABELS = [(label,) for label, count in enumerate(COUNTS) for _ in range(count)]


def test_balanced_weights_equal_scikit_learn() -> None:
    found = label_weights(LABELS, 3, "balanced", several=False)
    flat = np.concatenate(LABELS)
    np.testing.assert_allclose(found, compute_class_weight("balanced", classes=np.arange(3), y=flat))


def test_effective_number_weights_are_between_none_and_balanced() -> None:
    """(1 − βⁿ) / (1 − β) = Σ βⁱ."""
    assert effective_number(np.array([5.0]))[0] == pytest.approx(sum(BETA**i for i in range(5)))
    balanced = label_weights(LABELS, 3, "balanced", several=False)
    effective = label_weights(LABELS, 3, "effective", several=False)
    assert balanced is not None
    assert effective is not None
    assert 1 < effective[2] / effective[0] < balanced[2] / balanced[0]
    assert np.array(COUNTS) @ effective == pytest.approx(sum(COUNTS))  # the mean over cases is 1


def test_multi_label_weights_are_relative_to_half_of_the_texts() -> None:
    found = label_weights([(0,), (0, 1), (0,), ()], 3, "balanced", several=True)
    np.testing.assert_allclose(found, [1 / 3, 3, 1])  # the last one was never seen
    assert label_weights(LABELS, 3, "none", several=False) is None


def test_weighted_loss_equals_torch() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(6, 3), torch.tensor([0, 0, 1, 2, 0, 1])
    weights = np.array([0.5, 2.0, 4.0])
    each = (
        F.cross_entropy(logits, labels, reduction="none") * torch.tensor(weights, dtype=torch.float32)[labels]
    )
    found = loss(logits, labels, LossSettings(weights=weights), several=False)
    assert found.item() == pytest.approx(each.mean().item(), rel=1e-6)
    hot = F.one_hot(labels, 3)
    probable = logits.sigmoid()
    expected = (
        -(torch.tensor(weights) * hot * probable.log() + (1 - hot) * (1 - probable).log()).sum(1).mean()
    )
    found = loss(logits, hot, LossSettings(weights=weights), several=True)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
