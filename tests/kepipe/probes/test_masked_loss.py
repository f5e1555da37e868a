"""The masked loss on real arms: paired differences, the unigram baseline, given entities."""

from pathlib import Path

import numpy as np
import pytest

from kepipe.data.shards import open_shard
from kepipe.inference.opening import OpenedModel, open_model
from kepipe.probes.blanks import draw_blanks
from kepipe.probes.masked_loss import MaskedLoss
from kg.vectors import read_ids


def quiet(count):
    pass


@pytest.fixture(scope="module")
def loss(world):
    folder = world.shards.folder
    entities = read_ids(folder / "entities.txt")
    blanks = draw_blanks(
        open_shard(folder / "held_out"), world.tokenizer, np.random.default_rng(0), 32, entities=entities
    )
    counts = np.bincount(open_shard(folder / "train").tokens, minlength=world.tokenizer.vocab_size)
    return MaskedLoss(blanks, world.tokenizer, counts)


def test_masked_loss_difference_equals_the_scores_difference(world, loss):
    ticks = []
    first, second = (loss.answer(open_model(arm.folder), ticks.append) for arm in world.arms)
    assert sum(ticks) == 2 * loss.steps
    apart, ours, theirs = loss.difference(first, second, 0), loss.score(first, 0), loss.score(second, 0)
    assert set(apart) == {"tokens", "phrases", "mentions"}
    for metric in apart:
        assert apart[metric].value == pytest.approx(ours[metric].value - theirs[metric].value)
    same = loss.difference(first, first, 0)
    assert all(score.value == 0 and score.high in (0, None) for score in same.values())


def test_unigram_baseline_needs_no_model(loss):
    assert 0 < loss.baselines(0)["unigram"]["tokens"].value < np.log(loss.tokenizer.vocab_size)


def test_details_and_mentions_are_counted(loss):
    assert set(loss.details()["blanks"]) == {"tokens", "phrases", "mentions"}
    given = loss.entities_given(OpenedModel(Path("model")))
    assert len(given) == sum(len(mentions) for mentions in loss.blanks.mentions.values()) > 0


def test_masked_loss_rejects_a_model_without_masked_lm(loss):
    with pytest.raises(ValueError, match="needs a model that fills masks"):
        loss.answer(OpenedModel(Path("writer")), quiet)
