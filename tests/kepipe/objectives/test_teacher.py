"""A teacher is not trained."""

from __future__ import annotations

import torch

from kepipe.objectives.teacher import frozen


def test_teacher_has_neither_gradients_nor_dropout() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout(0.5))
    assert frozen(model) is model
    assert not any(weight.requires_grad for weight in model.parameters())
    assert not any(part.training for part in model.modules())
