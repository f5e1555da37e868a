"""ERNIE (Baidu): tokens, then phrases, then names of entities are masked as a whole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from kepipe.knowledge import table as knowledge
from kepipe.knowledge.ernie_baidu import ErnieBaidu, MaskedUnits, Stages
from kepipe.objectives import table
from kepipe.objectives.base import Objective
from tests.support.rows import TOKENIZER, corruptions, rows


def objective(masking: Any = "mlm", **settings: Any) -> Objective:
    return table.build(table.read(masking), TOKENIZER, MaskedUnits(ErnieBaidu(**settings)).objective)


def draw(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def hidden_units(batch, rows, level: str):  # type: ignore[no-untyped-def]
    """(row, unit) of every hidden token, and the number of hidden tokens of each."""
    units = rows.units[level] + 1000 * np.arange(len(rows.tokens))[:, None]
    return np.unique(units.ravel()[batch.label_positions.numpy()], return_counts=True)


def test_labels_restore_the_masked_tokens() -> None:
    clean = rows(pairs=True)
    batch = objective().collate(clean, draw(), 0.9)
    tokens = batch.tokens.numpy().copy()
    tokens.ravel()[batch.label_positions.numpy()] = batch.labels.numpy()
    assert (tokens == clean.tokens).all()
    assert not clean.special.ravel()[batch.label_positions.numpy()].any()
    assert (batch.next_sentence_labels.numpy() == clean.next_sentence_labels).all()


def test_masking_stages_follow_one_another() -> None:
    ernie = objective({"name": "mlm", "mlm_probability": 0.3}, stages=Stages(basic=1, phrase=1, entity=2))
    whole = rows(16, 26)  # text of 24 tokens at most: units of 2 and of 3 divide it
    for progress, level, size in (
        (0.3, "phrase", 2),
        (0.49, "phrase", 2),
        (0.5, "entity", 3),
        (1.0, "entity", 3),
    ):
        batch = ernie.collate(whole, draw(), progress)
        units, sizes = hidden_units(batch, whole, level)
        full = np.array([(whole.units[level][u // 1000] == u % 1000).sum() for u in units])
        assert (sizes == full).all(), "a unit is hidden as a whole"
        assert size in sizes
    _, sizes = hidden_units(ernie.collate(whole, draw(), 0.2), whole, "entity")
    assert (sizes < 3).any(), "the first stage cuts through entities"


def test_arms_mask_equally_many_tokens() -> None:
    """A control differs in which tokens are masked, not in how many, up to less than a unit per row."""
    whole = rows(256, 128)
    control = len(table.build(table.read("mlm"), TOKENIZER).collate(whole, draw(), 0.5).labels)
    for progress, size in ((0.0, 1), (0.5, 2), (0.9, 3)):
        count = len(objective().collate(whole, draw(), progress).labels)
        assert control - 256 * (size - 1) <= count <= control


def test_moved_names_are_masked_elsewhere_and_nothing_else_changes() -> None:
    """Spans of as many words, which do not know where the names are; tokens and phrases are masked as with names."""
    mixed = rows(64, 128)
    place = np.broadcast_to(
        np.arange(128) - 1, mixed.tokens.shape
    )  # in each sentence a name of three words, and three
    number = np.where(mixed.special, -1, place // 6 * 4 + np.maximum(place % 6 - 2, 0))
    mixed = replace(mixed, units={**mixed.units, "entity": number})
    for progress in (0.0, 0.5):
        batches = [objective(names=names).collate(mixed, draw(), progress) for names in ("linked", "moved")]
        assert torch.equal(batches[0].tokens, batches[1].tokens)
    cut = []
    for names in ("linked", "moved"):
        batch = objective(names=names).collate(mixed, draw(), 1.0)
        units, sizes = hidden_units(batch, mixed, "entity")
        full = np.array([(number[unit // 1000] == unit % 1000).sum() for unit in units])
        cut.append((sizes < full).mean())
    assert cut[0] == 0 < cut[1]


def test_stage_lengths_are_weights() -> None:
    assert [Stages().level(p) for p in (0.0, 0.32, 0.34, 0.66, 0.67, 1.0)] == [
        "basic", "basic", "phrase", "phrase", "entity", "entity",
    ]  # fmt: skip
    only_phrase = Stages(basic=0, phrase=5, entity=0)
    assert {only_phrase.level(p) for p in (0.0, 0.5, 1.0)} == {"phrase"}
    with pytest.raises(ValidationError, match="at least one"):
        Stages(basic=0, phrase=0, entity=0)


@pytest.mark.parametrize(("schedule", "distinct"), [("static", 1), ("duplicated", 3), ("dynamic", 7)])
def test_schedule_sets_the_number_of_corruptions_per_example(schedule: str, distinct: int) -> None:
    """Whatever the batch of an example, it has as many corruptions as the schedule draws."""
    scheduled = objective({"name": "mlm", "schedule": schedule, "copies": 3})
    made = corruptions(scheduled)
    assert len({one.numpy().tobytes() for one in made}) == distinct
    if schedule == "duplicated":
        assert torch.equal(made[1], made[4])


def test_method_name_alone_means_default_settings() -> None:
    assert knowledge.read("ernie-baidu") == knowledge.read({"method": "ernie-baidu"}) == ErnieBaidu()
    with pytest.raises(ValueError, match="did you mean `ernie-baidu`"):
        knowledge.read("ernie-baidoo")


def test_objectives_of_a_mixture_mask_by_the_stages() -> None:
    mixture = {"name": "mixture", "of": [{"objective": "mlm"}, {"objective": "span-masking"}]}
    staged, whole = objective(mixture, stages=Stages(basic=0, phrase=0, entity=1)), rows(16, 26)
    parts = set()
    for seed in range(20):
        batch = staged.collate(whole, draw(seed), 0.5)
        parts.add(batch.objective_id)
        units, sizes = hidden_units(batch, whole, "entity")
        assert (sizes == [(whole.units["entity"][u // 1000] == u % 1000).sum() for u in units]).all()
    assert parts == {0, 1}


def test_objective_without_unit_masking_is_rejected() -> None:
    with pytest.raises(ValueError, match="masks no units"):
        objective("causal-lm")


def test_upstream_masks_each_token_and_unit_independently() -> None:
    """[code]: masked shares of rows vary in every stage; units are masked as a whole."""
    whole = rows(512, 66)
    text_B = (~whole.special).sum(1)
    for progress, level in ((0.0, None), (0.5, "phrase"), (0.9, "entity")):
        batch = objective(upstream=True).collate(whole, draw(), progress)
        hidden_B = np.bincount(batch.label_positions.numpy() // 66, minlength=512)
        assert (hidden_B / text_B).mean() == pytest.approx(0.15, abs=0.01)
        assert len(set(hidden_B[text_B > 50].tolist())) > 6, "as many as coins fall, not as the row is long"
        if level is not None:
            units, sizes = hidden_units(batch, whole, level)
            full = np.array([(whole.units[level][u // 1000] == u % 1000).sum() for u in units])
            assert (sizes == full).all()
