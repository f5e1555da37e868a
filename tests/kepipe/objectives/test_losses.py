"""Sums of loss terms over hidden states: terms, counts and weights, in one forward pass."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from kepipe.data.batch import Batch, TokenRows
from kepipe.models.transformer import Transformer
from kepipe.objectives.base import Objective
from kepipe.objectives.losses import LossSum, LossTerm, NextSentenceLoss, TokenLoss
from tests.support.toy_training import (
    HIDDEN,
    EventRecorder,
    context_in,
    fit,
    mask_tokens,
    mask_tokens_with_labels,
    masking_mixture,
    settings,
    tiny,
    toy_rows,
)


class LengthLoss(LossTerm):
    """The mean square of hidden states at each row's last token, where the batch says which these are."""

    name = "length"

    def places(self, batch: Batch) -> Tensor | None:
        return batch.extra.get("last")

    def mean(self, model: Transformer, hidden_ND: Tensor, batch: Batch) -> Tensor:
        return (hidden_ND**2).sum() / max(1, hidden_ND.numel())


def with_last(rows: TokenRows, rng: np.random.Generator, progress: float) -> Batch:
    batch = mask_tokens_with_labels(rows, rng, progress)
    count, length = batch.tokens.shape
    return replace(batch, extra={"last": length * torch.arange(count) + length - 1})


PAIRS = LossSum(HIDDEN, NextSentenceLoss("judged"))
BOTH = LossSum(PAIRS, LengthLoss(), weights={"length": 0.25})


def batch_of(collate: Any = with_last) -> Batch:
    batch: Batch = collate(toy_rows(0), np.random.default_rng(0), 0.0)
    return batch


def forwards(model: Transformer) -> list[Tensor | None]:
    """The positions requested in each forward pass of the model, in order."""
    asked: list[Tensor | None] = []
    model.register_forward_hook(lambda _model, given, _hidden: asked.append(given[1]))
    return asked


def test_loss_sum_has_terms_and_counts_of_all_parts() -> None:
    batch = batch_of()
    assert BOTH.terms == ("hidden", "judged", "length")
    assert BOTH.metrics == ()
    assert BOTH.counts(batch) == {**PAIRS.counts(batch), "length": 8}


def test_loss_sum_shares_one_forward_pass() -> None:
    model, batch = tiny(dropout=0.0), batch_of()
    asked = forwards(model)
    BOTH(model, batch)
    (places,) = asked
    assert places is not None
    assert batch.label_positions is not None
    assert len(places) == len(batch.label_positions) + 8 + 8


def test_loss_term_in_a_sum_is_scaled_by_its_weight() -> None:
    model, batch = tiny(dropout=0.0), batch_of()
    means, alone = BOTH(model, batch), LengthLoss()(model, batch)
    torch.testing.assert_close(means["length"], 0.25 * alone["length"])
    plain = PAIRS(model, batch)
    torch.testing.assert_close(means, {**plain, "length": 0.25 * alone["length"]})


def test_loss_term_without_positions_is_left_out() -> None:
    model, batch = tiny(dropout=0.0), batch_of(mask_tokens)
    assert set(BOTH.counts(batch)) == {"hidden"}
    means = BOTH(model, batch)
    assert set(means) == {"hidden"}
    assert torch.equal(means["hidden"], HIDDEN(model, batch)["hidden"])


def test_loss_term_can_be_added_to_a_mixture() -> None:
    model, mixture = tiny(dropout=0.0), masking_mixture()
    criterion = LossSum(mixture.criterion, LengthLoss())
    asked, present = forwards(model), set[str]()
    for number in range(8):
        made = mixture.collate(toy_rows(number), np.random.default_rng(number), 0.0)
        batch = replace(made, extra={"last": torch.tensor([3, 9])})
        means = criterion(model, batch)
        assert set(means) == set(criterion.counts(batch))
        assert {name: means[name] for name in means if name != "length"}.keys() == mixture.criterion.counts(
            batch
        ).keys()
        present |= set(means)
    assert len(asked) == 8
    assert present == {"some.hidden", "pairs.hidden", "pairs.judged", "length"}


def test_loss_terms_with_equal_names_are_rejected() -> None:
    with pytest.raises(ValueError, match="the same name: hidden, hidden"):
        LossSum(HIDDEN, TokenLoss("hidden"))


def test_added_loss_term_is_minimised_and_logged(tmp_path: Path) -> None:
    """The added term keeps hidden states at last tokens small."""
    recorder, free, held = EventRecorder(), tiny(dropout=0.0), tiny(dropout=0.0)
    chosen = settings(steps=24, checkpoint_every=24, log_every=8)
    fit(free, Objective(with_last, PAIRS), toy_rows, chosen, context_in(tmp_path / "free"))
    criterion = LossSum(PAIRS, LengthLoss())
    fit(held, Objective(with_last, criterion), toy_rows, chosen, context_in(tmp_path / "held", recorder))
    with torch.no_grad():
        of_free, of_held = (LengthLoss()(model, batch_of())["length"] for model in (free, held))
    assert of_held < 0.9 * of_free
    parts = zip(*(recorder.metric(f"loss_{name}").values() for name in criterion.terms), strict=True)
    assert list(recorder.metric("loss").values()) == pytest.approx([sum(part) for part in parts])


def test_next_sentence_is_judged_at_the_first_token_of_each_row() -> None:
    tokens = torch.zeros(3, 5, dtype=torch.long)
    places = NextSentenceLoss("nsp").places(Batch(tokens, tokens, next_sentence_labels=tokens[:, 0]))
    assert places is not None
    assert places.tolist() == [0, 5, 10]
    assert NextSentenceLoss("nsp").places(Batch(tokens, tokens)) is None


@pytest.mark.parametrize(("count", "mean"), [(0, 0.0), (1, 6.0), (2, 6.0)])
def test_token_loss_is_the_mean_over_its_labels(count: int, mean: float) -> None:
    class Six:
        def token_loss(self, hidden_ND: Tensor, _labels_N: Tensor) -> Tensor:
            return torch.tensor(6.0 * len(hidden_ND))

    tokens = torch.zeros(1, 5, dtype=torch.long)
    batch = Batch(tokens, tokens, labels=tokens[0, :count])
    assert float(TokenLoss("lm").mean(Six(), torch.zeros(count, 4), batch)) == mean  # type: ignore[arg-type]
