"""The label loss, by hand, and label heads of a model."""

from __future__ import annotations

from dataclasses import replace
from math import log
from typing import Any

import pytest
import torch

from kepipe.data.batch import Batch
from kepipe.models.assemble import with_label_heads
from kepipe.models.base import Base, build
from kepipe.objectives.ernie2.label_loss import LabelLoss

TOKENS = torch.tensor([[2, 30, 31, 3], [2, 32, 3, 0]])
ROWS = Batch(
    tokens=TOKENS,
    documents=(TOKENS > 0).long(),
    label_positions=torch.tensor([0, 4]),
    labels=torch.tensor([0, 2]),
)


def model(family: Any = "bert", seed: int = 0) -> Any:
    base = Base(family=family, layers=1, hidden=32, heads=2)
    return with_label_heads(build(base, 40, seed), {"far": 3, "token": 2}, 5)


def test_label_loss_of_a_constant_head_by_hand() -> None:
    untold = model()
    with torch.no_grad():
        untold.label_heads["far"].weight.zero_()
        untold.label_heads["far"].bias.copy_(torch.tensor([log(2.0), 0.0, log(5.0)]))
    losses = LabelLoss("far", pooled=True)(untold, ROWS)
    assert float(losses["label"]) == pytest.approx(-(log(2 / 8) + log(5 / 8)) / 2, rel=1e-6)
    assert float(losses["accuracy"]) == 0.5


def test_label_loss_of_one_row_and_of_none() -> None:
    untold = model()
    with torch.no_grad():
        untold.label_heads["far"].weight.zero_()
        untold.label_heads["far"].bias.copy_(torch.tensor([log(2.0), 0.0, log(5.0)]))
    one = replace(ROWS, label_positions=torch.tensor([4]), labels=torch.tensor([2]))
    losses = LabelLoss("far", pooled=True)(untold, one)
    assert float(losses["label"]) == pytest.approx(-log(5 / 8), rel=1e-6)
    assert float(losses["accuracy"]) == 1.0
    none = replace(
        ROWS, label_positions=torch.tensor([], dtype=torch.long), labels=torch.tensor([], dtype=torch.long)
    )
    assert float(LabelLoss("far", pooled=True)(untold, none)["label"]) == 0.0


def test_row_labels_read_the_pooled_state_and_token_labels_their_own() -> None:
    both = model()
    hidden_BTD = both(ROWS)
    head = both.label_heads["far"]
    logits = head(both.pool(hidden_BTD))
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor([0, 2]))
    torch.testing.assert_close(LabelLoss("far", pooled=True)(both, ROWS)["label"], expected)

    tokens = Batch(
        tokens=TOKENS,
        documents=(TOKENS > 0).long(),
        label_positions=torch.tensor([1, 2, 5]),
        labels=torch.tensor([1, 0, 1]),
    )
    logits = both.label_heads["token"](hidden_BTD.flatten(0, 1)[[1, 2, 5]])
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor([1, 0, 1]))
    loss = LabelLoss("token", pooled=False)
    torch.testing.assert_close(loss(both, tokens)["label"], expected)
    assert loss.counts(tokens) == {"label": 3, "accuracy": 3}


def test_label_head_without_a_pooler_reads_the_first_token() -> None:
    plain = model("roberta")
    logits = plain.label_heads["far"](plain(ROWS)[:, 0])
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor([0, 2]))
    torch.testing.assert_close(LabelLoss("far", pooled=True)(plain, ROWS)["label"], expected)


def test_label_heads_are_added_and_weights_stay() -> None:
    before = model()
    after = with_label_heads(before, {"far": 3, "new": 4}, 6)
    assert after.config.label_heads == {"far": 3, "new": 4, "token": 2}
    weights = dict(after.named_parameters())
    assert all(torch.equal(weight, weights[name]) for name, weight in before.named_parameters())
    assert with_label_heads(after, {"new": 4}, 7) is after
    with pytest.raises(ValueError, match="tells 3 labels of far, not 5"):
        with_label_heads(after, {"far": 5}, 0)
