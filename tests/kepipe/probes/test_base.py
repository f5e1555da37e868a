"""Probes on real arms: scores, paired differences and baselines."""

import numpy as np
import pytest

from kepipe.data.shards import open_shard
from kepipe.models.folder import load
from kepipe.probes.base import Arm, EntityCloze, MaskedLoss
from kepipe.probes.cloze_test import ClozeMaker, Links
from kepipe.probes.masked_loss import draw_blanks
from kg.store import open_graph


def quiet(count):
    pass


@pytest.fixture(scope="module")
def cloze(world):
    held_out = {document.id for document in world.held_out}
    maker = ClozeMaker(open_graph(world.graph.folder), world.tokenizer, max_cases=40, context_tokens=48)
    return EntityCloze(
        maker.make(Links.count((d, d.id in held_out) for d in world.documents), np.random.default_rng(0)),
        world.tokenizer,
    )


@pytest.fixture(scope="module")
def loss(world):
    blanks = draw_blanks(
        open_shard(world.shards.folder / "held_out"), world.tokenizer, np.random.default_rng(0), 32
    )
    counts = np.bincount(
        open_shard(world.shards.folder / "train").tokens, minlength=world.tokenizer.vocab_size
    )
    return MaskedLoss(blanks, world.tokenizer, counts)


def test_scores_are_means_over_cases_and_types(world, cloze):
    answers = cloze.answer(Arm(load(world.arms[0].folder)), "cpu", quiet)
    told = cloze.score(answers, 0)
    ranks = answers["ranks"]
    assert told["mrr"]["value"] == pytest.approx((1 / ranks).mean())
    assert told["hits@1"]["value"] == pytest.approx((ranks == 1).mean())
    assert told["mrr"]["low"] <= told["mrr"]["value"] <= told["mrr"]["high"]
    assert told["mrr"]["cases"] == 40
    parts = told["by_type"].values()
    assert sum(part["mrr"]["cases"] for part in parts) == 40
    weighted = sum(part["mrr"]["cases"] * part["mrr"]["value"] for part in parts)
    assert weighted / 40 == pytest.approx(told["mrr"]["value"])


@pytest.mark.parametrize("probe", ["cloze", "loss"])
def test_difference_is_that_of_the_scores_and_nothing_against_itself(world, probe, request):
    probe = request.getfixturevalue(probe)
    first, second = (probe.answer(Arm(load(arm.folder)), "cpu", quiet) for arm in world.arms)
    apart, ours, theirs = probe.difference(first, second, 0), probe.score(first, 0), probe.score(second, 0)
    for metric in apart.keys() - {"by_type"}:
        assert apart[metric]["value"] == pytest.approx(ours[metric]["value"] - theirs[metric]["value"])
    same = probe.difference(first, first, 0)
    assert all(same[metric]["value"] == 0 for metric in same.keys() - {"by_type"})
    assert all(same[metric]["high"] in (0, None) for metric in same.keys() - {"by_type"})


def test_baselines_need_no_model(cloze, loss):
    baselines = cloze.baselines(0)
    sizes = {type: len(table.names) for type, table in cloze.test.candidates.items()}
    harmonic = {type: sum(1 / k for k in range(1, size + 1)) / size for type, size in sizes.items()}
    expected = np.mean([harmonic[case.type] for case in cloze.test.cases])
    assert baselines["chance"]["mrr"]["value"] == pytest.approx(expected)
    assert baselines["links"]["mrr"]["value"] > baselines["chance"]["mrr"]["value"]
    assert 0 < loss.baselines(0)["unigram"]["tokens"]["value"] < np.log(loss.tokenizer.vocab_size)


def test_about_counts_what_is_asked(cloze, loss):
    about = cloze.about()
    assert about["cases"] == 40 == sum(type["cases"] for type in about["types"].values())
    assert set(loss.about()["blanks"]) == {"tokens", "phrases", "mentions"}
