"""The terms that a teacher adds to the loss of labels."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kepipe.data.batch import Batch
from kepipe.finetuning.heads import LabelCriterion, LabelHead
from kepipe.finetuning.output import LossSettings
from kepipe.finetuning.read_positions import SOFT_LABELS, TEACHER_STATES
from kepipe.finetuning.task_model import TaskModel
from kepipe.training.soft_targets import divergence

NAN = float("nan")


class Table(nn.Module):
    """An encoder whose hidden states are the rows of a table."""

    hidden_size = 2

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))

    def encode(self, batch: Batch) -> Tensor:
        return self.rows[batch.tokens]


def model_and_batch(theirs_ND: Tensor) -> tuple[TaskModel, Batch]:
    torch.manual_seed(0)
    tokens = torch.tensor([[0, 1, 2]])
    batch = Batch(
        tokens,
        torch.ones_like(tokens),
        label_positions=torch.arange(3),
        labels=torch.tensor([0, 1, 1]),
        extra={SOFT_LABELS: torch.tensor([[0.5, 0.5]] * 3), TEACHER_STATES: theirs_ND},
    )
    return TaskModel(Table(), LabelHead(2, 1, 2)), batch


def test_similarities_are_a_term_of_their_own() -> None:
    """The third word was not read by the teacher. Of the other two, 90° apart, the teacher's are equal."""
    theirs_ND = torch.tensor([[2.0, 0.0, 0.0], [5.0, 0.0, 0.0], [NAN, NAN, NAN]], requires_grad=True)
    model, batch = model_and_batch(theirs_ND)
    criterion = LabelCriterion(False, LossSettings(teacher_weight=0.25, temperature=2.0, similarities=0.5))
    means = criterion(model, batch)
    logits_NL = model(batch)
    assert batch.labels is not None
    expected = {
        "task": 0.75 * F.cross_entropy(logits_NL, batch.labels),
        "distillation": 0.25 * divergence(logits_NL, batch.extra[SOFT_LABELS], 2.0),
        "similarities": torch.tensor(0.5 * 2 / 4),
    }
    torch.testing.assert_close(means, expected)
    assert criterion.terms == tuple(criterion.counts(batch)) == tuple(expected)


def test_gradient_of_similarities_reaches_the_encoder_but_not_the_last_layer() -> None:
    model, batch = model_and_batch(torch.tensor([[2.0, 0.0], [5.0, 1.0], [NAN, NAN]]))
    criterion = LabelCriterion(False, LossSettings(teacher_weight=0.25, similarities=1.0))
    criterion(model, batch)["similarities"].backward()
    assert model.encoder.rows.grad[:2].norm(dim=1).min() > 0
    assert model.encoder.rows.grad[2].abs().max() == 0.0
    assert model.head.dense.weight.grad is None


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_there_is_no_term_of_similarities_by_default(weight: float) -> None:
    model, batch = model_and_batch(torch.zeros(3, 2))
    assert "similarities" not in LabelCriterion(False, LossSettings(teacher_weight=weight))(model, batch)
