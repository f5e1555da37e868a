"""MLM, its schedules, and dialogues."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import BaseModel, ValidationError

from kepipe.models.base import Base, build
from kepipe.objectives import table
from tests.support.rows import MASK, SENTINELS, TOKENIZER, VOCABULARY, corruptions, rows


class Config(BaseModel):
    objective: table.AnyObjective


def objective(value: Any):  # type: ignore[no-untyped-def]
    return table.build(Config(objective=value).objective, TOKENIZER)


def draw(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("name", ["mlm", "span-masking"])
def test_labels_restore_the_masked_tokens(name: str) -> None:
    clean = rows(pairs=True)
    batch = objective(name).collate(clean, draw(), 0.9)
    tokens = batch.tokens.numpy().copy()
    tokens.ravel()[batch.label_positions.numpy()] = batch.labels.numpy()
    assert (tokens == clean.tokens).all()
    assert not clean.special.ravel()[batch.label_positions.numpy()].any()
    assert (batch.next_sentence_labels.numpy() == clean.next_sentence_labels).all()


def test_mlm_batch_is_deterministic_for_a_seed() -> None:
    mlm = objective("mlm")
    one, two, other = (mlm.collate(rows(), draw(seed), 0.0) for seed in (1, 1, 2))
    assert torch.equal(one.tokens, two.tokens)
    assert not torch.equal(one.tokens, other.tokens)


def test_mlm_loss_is_the_cross_entropy_at_masked_positions() -> None:
    model = build(Base(layers=1, hidden=16, heads=2), VOCABULARY, 0).eval()
    mlm = objective("mlm")
    batch = mlm.collate(rows(pairs=True), draw(), 0.0)
    losses = mlm.criterion(model, batch)
    hidden = model(batch)
    labels = torch.full(batch.tokens.shape, -100).flatten()
    labels[batch.label_positions] = batch.labels
    expected = F.cross_entropy(model.vocabulary(hidden).flatten(0, 1), labels, ignore_index=-100)
    torch.testing.assert_close(losses["mlm"], expected)
    torch.testing.assert_close(
        losses["nsp"], F.cross_entropy(model.next_sentence(hidden), batch.next_sentence_labels)
    )
    assert mlm.criterion.counts(batch) == {"mlm": len(batch.labels), "nsp": 8}


def test_mlm_without_pairs_has_no_next_sentence_loss() -> None:
    mlm = objective("mlm")
    batch = mlm.collate(rows(), draw(), 0.0)
    assert batch.next_sentence_labels is None
    assert "nsp" not in mlm.criterion.counts(batch)
    silent = objective({"name": "mlm", "next_sentence": False})
    assert silent.collate(rows(pairs=True), draw(), 0.0).next_sentence_labels is None


def test_random_replacements_are_ordinary_tokens() -> None:
    noisy = objective({"name": "mlm", "mask_prob": 0.0, "random_prob": 1.0, "mlm_probability": 0.5})
    batch = noisy.collate(rows(64), draw(), 0.0)
    put = batch.tokens.flatten()[batch.label_positions]
    assert not np.isin(put.numpy(), [MASK, *SENTINELS]).any()
    assert len(put.unique()) > 60


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("span-maskin", "did you mean `span-masking`"),
        ({"name": "mlm", "shares": 0.2}, "shares"),
        ({"name": "mlm", "mask_prob": 0.9, "random_prob": 0.2}, "more than 1"),
    ],
)
def test_invalid_objective_is_named(value: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Config(objective=value)


@pytest.mark.parametrize("name", ["mlm", "span-masking"])
@pytest.mark.parametrize(("schedule", "distinct"), [("static", 1), ("duplicated", 3), ("dynamic", 7)])
def test_schedule_sets_the_number_of_corruptions_per_example(name: str, schedule: str, distinct: int) -> None:
    """Whatever the batch of an example, it has as many corruptions as the schedule draws."""
    scheduled = objective({"name": name, "schedule": schedule, "copies": 3})
    made = corruptions(scheduled)
    assert len({one.numpy().tobytes() for one in made}) == distinct
    if schedule == "duplicated":
        assert torch.equal(made[1], made[4])


def test_schedule_needs_example_indices() -> None:
    with pytest.raises(ValueError, match="rows with example indices"):
        objective({"name": "mlm", "schedule": "static"}).collate(rows(), draw(), 0.0)


def test_dlm_keeps_roles_and_predicts_real_dialogues() -> None:
    dialogues = rows(pairs=True)
    dlm = objective("dlm")
    batch = dlm.collate(dialogues, draw(), 0.0)
    assert (batch.segments.numpy() == dialogues.segments).all()
    assert (batch.next_sentence_labels.numpy() == dialogues.next_sentence_labels).all()
    assert dlm.criterion.counts(batch) == {"mlm": len(batch.labels), "real": len(dialogues.tokens)}
    model = build(Base(family="bert", layers=1, hidden=16, heads=1), VOCABULARY, 0)
    losses = dlm.criterion(model, batch)
    expected = F.cross_entropy(model.next_sentence(model(batch)), batch.next_sentence_labels)
    assert set(losses) == {"mlm", "real"}
    torch.testing.assert_close(losses["real"], expected)
    blind = objective({"name": "dlm", "tell_fakes": False}).collate(dialogues, draw(), 0.0)
    assert blind.next_sentence_labels is None
    assert blind.segments is not None


def test_objective_name_alone_means_default_settings() -> None:
    assert Config(objective="mlm") == Config(objective={"name": "mlm"})


@pytest.mark.parametrize(("level", "size"), [("phrase", 2), ("entity", 3)])
def test_masking_level_masks_whole_units(level: str, size: int) -> None:
    whole = rows(16, 26)  # text of 24 tokens at most: units of 2 and of 3 divide it
    batch = objective({"name": "mlm", "level": level, "mlm_probability": 0.3}).collate(whole, draw(), 0.0)
    numbered = whole.units[level] + 1000 * np.arange(16)[:, None]
    units, sizes = np.unique(numbered.ravel()[batch.label_positions.numpy()], return_counts=True)
    assert (sizes == [(numbered == unit).sum() for unit in units]).all()
    assert size in sizes
