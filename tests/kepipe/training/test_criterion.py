"""A criterion with a term more: named, counted and minimised beside the others."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from kepipe.data.batch import Batch
from kepipe.training.criterion import WithTerm
from kepipe.training.loop import train
from tests.support.bigrams import Bigrams, NextToken
from tests.support.toy_training import Ear, context_in, settings


def batch(_number: int) -> Batch:
    return Batch(torch.tensor([[0, 1, 2, 1], [2, 1, 0, 0]]), torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]]))


def size(model: Bigrams, one: Batch) -> Tensor:
    """The mean square of the rows of a batch's tokens."""
    return (model.rows[one.tokens] ** 2).mean()


LARGE = WithTerm(NextToken(), "size", lambda one: one.tokens.numel(), size)


def test_its_terms_and_counts_are_those_of_both() -> None:
    assert LARGE.terms == ("next", "size")
    assert LARGE.metrics == ("accuracy",)
    assert LARGE.counts(batch(0)) == {"next": 5, "accuracy": 5, "size": 8}
    model = Bigrams(3)
    means = LARGE(model, batch(0))
    assert set(means) == {"next", "accuracy", "size"}
    assert torch.equal(means["next"], NextToken()(model, batch(0))["next"])


def test_both_are_minimised_and_logged(tmp_path: Path) -> None:
    """The term holds the rows near to 0, so that what is learned is less sharp."""
    free, held, ear = Bigrams(3), Bigrams(3), Ear()
    chosen = settings(steps=60, learning_rate=0.1, weight_decay=0.0, log_every=20)
    train(free, batch, NextToken(), chosen, context_in(tmp_path / "free"))
    train(held, batch, LARGE, chosen, context_in(tmp_path / "held", ear))
    assert size(held, batch(0)) < 0.5 * size(free, batch(0))
    parts = zip(ear.metric("loss_next").values(), ear.metric("loss_size").values(), strict=True)
    assert list(ear.metric("loss").values()) == pytest.approx([sum(part) for part in parts])
