"""A teacher is not trained; its share of the loss, and what it reads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from kepipe.data.batch import Batch
from kepipe.objectives import table
from kepipe.objectives.teacher import Teacher, TeacherLoss, frozen, learn_from
from kepipe.training.soft_targets import divergence
from tests.support.rows import TOKENIZER, rows


def test_teacher_has_neither_gradients_nor_dropout() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout(0.5))
    assert frozen(model) is model
    assert not any(weight.requires_grad for weight in model.parameters())
    assert not any(part.training for part in model.modules())


class Logits:
    """A model whose hidden states are the logits themselves."""

    def __init__(self, hidden_ND: Tensor) -> None:
        self.hidden_ND = hidden_ND

    def __call__(self, _batch: Batch, positions_N: Tensor) -> Tensor:
        return self.hidden_ND[: len(positions_N)]

    def vocabulary(self, hidden_ND: Tensor) -> Tensor:
        return hidden_ND

    def token_loss(self, hidden_ND: Tensor, labels_N: Tensor) -> Tensor:
        return F.cross_entropy(hidden_ND, labels_N, reduction="sum")


THEIRS_ND, OURS_ND = torch.randn(2, 99, 100, generator=torch.Generator().manual_seed(0)).unbind(0)


@pytest.mark.parametrize("similarities", [0.0, 0.5])
def test_loss_is_shared_between_labels_and_teacher(similarities: float) -> None:
    objective = table.build(table.read("mlm"), TOKENIZER)
    learned = learn_from(objective, Teacher(Logits(THEIRS_ND)), 2.0, 0.25, similarities)
    batch = learned.collate(rows(), np.random.default_rng(0), 0.0)
    assert batch.labels is not None
    count = len(batch.labels)
    ours_ND, theirs_ND = OURS_ND[:count], THEIRS_ND[:count]
    means = learned.criterion.losses(Logits(OURS_ND), (ours_ND, ours_ND), batch)
    alike = [F.normalize(x_ND, dim=-1) @ F.normalize(x_ND, dim=-1).T for x_ND in (ours_ND, theirs_ND)]
    expected = {
        "mlm": 0.75 * F.cross_entropy(ours_ND, batch.labels),
        "distillation": 0.25 * divergence(ours_ND, F.softmax(theirs_ND / 2, dim=-1), 2.0),
    }
    if similarities:
        expected["similarities"] = 0.5 * F.mse_loss(alike[0], alike[1])
    torch.testing.assert_close(means, expected)
    assert learned.criterion.counts(batch) == dict.fromkeys(expected, count)
    assert learned.criterion.terms == ("mlm", "nsp", *list(expected)[1:])


def test_similarities_are_not_compared_by_default() -> None:
    objective = table.build(table.read("mlm"), TOKENIZER)
    assert "similarities" not in learn_from(objective, Teacher(Logits(THEIRS_ND)), 2.0, 0.25).criterion.terms


def test_batch_without_predicted_tokens_has_a_loss_of_zero() -> None:
    loss = TeacherLoss(Logits(THEIRS_ND), 2.0, similarities=True)
    tokens = torch.zeros(1, 4, dtype=torch.long)
    found = loss.losses(Logits(OURS_ND), (OURS_ND[:0],), Batch(tokens, tokens))
    assert {name: float(mean) for name, mean in found.items()} == {"distillation": 0.0, "similarities": 0.0}


def test_teacher_reads_its_own_knowledge_unless_it_pushes_tokens_out() -> None:
    clean = rows()
    batch = table.build(table.read("mlm"), TOKENIZER).collate(clean, np.random.default_rng(0), 0.0)
    batch = replace(batch, extra={"branch": batch.tokens})
    assert batch.labels is not None
    assert Teacher(Logits(THEIRS_ND)).read(batch, clean).extra == {}
    given: list[Batch] = []

    def apply(own: Batch, _mentions: object) -> Batch:
        given.append(own)
        return own

    assert Teacher(Logits(THEIRS_ND), apply).read(batch, clean) is given[0]
    assert given[0].extra == {}
    with pytest.raises(ValueError, match="pushes predicted tokens out"):
        Teacher(Logits(THEIRS_ND), lambda own, _: replace(own, labels=own.labels[1:])).read(batch, clean)
