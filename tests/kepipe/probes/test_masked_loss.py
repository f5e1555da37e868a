"""The masked loss on real arms: paired differences, from the baselines too, and given entities."""

from pathlib import Path

import numpy as np
import pytest

from kepipe.data.shards import open_shard
from kepipe.inference.opening import OpenedModel, open_model
from kepipe.models.ngram.config import NgramBase
from kepipe.models.ngram.fitting import fit
from kepipe.models.ngram.model import load
from kepipe.probes.blanks import Blanks, draw_blanks
from kepipe.probes.evaluation import score
from kepipe.probes.masked_loss import MOST_TOKENS, PRESENTATION, MaskedLoss
from kepipe.probes.presentation import headlines
from kepipe.report.evaluation import section
from kepipe.report.page import Table
from kepipe.studies.scores import read_scores, write_scores
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


def test_differences_from_baselines_by_hand(world):
    """Six documents of one blank each; the model's loss is 0.25 less than that by token frequencies at every blank."""
    size = world.tokenizer.vocab_size
    first, second = world.tokenizer.ordinary[:2]
    counts = np.zeros(size, np.int64)
    counts[first] = size  # with one added, of 2 · size tokens
    rows = [[world.tokenizer.cls, token, world.tokenizer.sep] for token in [first, second] * 3]
    blanks = Blanks(np.array(rows), np.ones((6, 3), bool), np.arange(6), {"tokens": np.arange(6) * 3 + 1}, {})
    probe = MaskedLoss(blanks, world.tokenizer, counts)
    frequencies = [-np.log((size + 1) / (2 * size)), np.log(2 * size)]
    answers = {"tokens": np.array(frequencies * 3) - 0.25}
    scores = score({"mlm-loss": probe}, {"model": {"mlm-loss": answers}}, {}, "model", 0)
    (difference,) = scores.baseline_differences
    assert (difference.first, difference.second, scores.differences) == ("model", "unigram", ())
    apart = difference.scores["mlm_loss"]["tokens"]
    assert (apart.value, apart.low, apart.high) == pytest.approx((-0.25, -0.25, -0.25))
    assert (apart.cases, apart.clusters) == (6, 6)
    lines = list(headlines("mlm_loss", PRESENTATION, scores))
    assert lines[1] == "held-out loss, model − unigram: tokens -0.250 (95%: -0.250 to -0.250)"
    (table,) = (each for each in section("mlm_loss", PRESENTATION, scores).blocks if isinstance(each, Table))
    assert [str(row[0]).split(">")[-1] for row in table.rows] == ["model", "unigram", "model − unigram"]


def test_ngram_baseline_is_the_models_probability_at_each_blank(world, tmp_path):
    folder = world.shards.folder
    held_out = open_shard(folder / "held_out")
    (tmp_path / "scratch").mkdir()
    fit(
        NgramBase(),
        open_shard(folder / "train"),
        folder / "tokenizer",
        tmp_path / "out",
        tmp_path / "scratch",
    )
    model = load(tmp_path / "out")
    blanks = draw_blanks(held_out, world.tokenizer, np.random.default_rng(0), 32)
    counts = open_shard(folder / "train").counts(world.tokenizer.vocab_size)
    probe = MaskedLoss(blanks, world.tokenizer, counts, folder)
    losses = probe.baseline_answers["ngrams"]["tokens"]
    documents = blanks.documents_of("tokens")
    assert len(losses) == len(documents) > 5
    for loss, document, position in zip(losses, documents, blanks.positions_of("tokens"), strict=True):
        start = held_out.documents[document]
        text = np.asarray(held_out.tokens[start : position + 1], np.int64)
        expected = model.log_likelihoods([text[:-1]], [0], [text[-1:]])
        assert loss == pytest.approx(-expected[0, 0])
    assert set(probe.baselines(0)["ngrams"]) == {"tokens"}
    scores = score({"mlm-loss": probe}, {"a": {"mlm-loss": probe.baseline_answers["unigram"]}}, {}, "a", 0)
    write_scores(tmp_path / "scores.json", scores)
    stored = read_scores(tmp_path / "scores.json").baseline_differences
    assert [each.second for each in stored] == ["unigram", "ngrams"]
    assert stored == scores.baseline_differences


def test_no_ngrams_without_text_or_of_too_much(world):
    blanks = draw_blanks(
        open_shard(world.shards.folder / "held_out"), world.tokenizer, np.random.default_rng(0), 32
    )
    for total in (0, MOST_TOKENS + 1):
        counts = np.zeros(world.tokenizer.vocab_size, np.int64)
        counts[0] = total
        probe = MaskedLoss(blanks, world.tokenizer, counts, world.shards.folder)
        assert set(probe.baseline_answers) == {"unigram"}
