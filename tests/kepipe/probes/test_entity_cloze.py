"""The entity cloze on real arms: scores, paired differences, baselines, records."""

from pathlib import Path

import numpy as np
import pytest

from kepipe.inference.opening import OpenedModel, open_model
from kepipe.probes.cloze_test import ClozeMaker
from kepipe.probes.entity_cloze import EntityCloze, records
from kepipe.probes.held_out import Links
from kepipe.studies.scores import main_metrics
from kg.store import open_graph


def quiet(count):
    pass


@pytest.fixture(scope="module")
def cloze(world):
    held_out = {document.id for document in world.held_out}
    maker = ClozeMaker(open_graph(world.graph.folder), world.tokenizer, max_cases=40, context_tokens=48)
    links = Links.count((d, d.id in held_out) for d in world.documents)
    return EntityCloze(maker.make(links, np.random.default_rng(0)), world.tokenizer)


@pytest.fixture(scope="module")
def answers(world, cloze):
    return [cloze.answer(open_model(arm.folder), quiet) for arm in world.arms]


def test_scores_are_means_over_cases_and_types(cloze, answers):
    metrics, ranks = cloze.score(answers[0], 0), answers[0]["ranks"]
    assert metrics["mrr"].value == pytest.approx((1 / ranks).mean())
    assert metrics["hits@1"].value == pytest.approx((ranks == 1).mean())
    assert metrics["mrr"].low <= metrics["mrr"].value <= metrics["mrr"].high
    assert metrics["mrr"].cases == 40
    parts = [metrics[f"by_type/{type}/mrr"] for type in cloze.test.candidates]
    assert sum(part.cases for part in parts) == 40
    assert sum(part.cases * part.value for part in parts) / 40 == pytest.approx(metrics["mrr"].value)


def test_cloze_difference_equals_the_scores_difference_and_is_0_with_itself(cloze, answers):
    first, second = answers
    apart, ours, theirs = (
        cloze.difference(first, second, 0), cloze.score(first, 0), cloze.score(second, 0)
    )  # fmt: skip
    assert apart.keys() == ours.keys()
    for metric in apart:
        assert apart[metric].value == pytest.approx(ours[metric].value - theirs[metric].value)
    same = main_metrics(cloze.difference(first, first, 0))
    assert all(score.value == 0 and score.high in (0, None) for score in same.values())


def test_baselines_need_no_model(cloze):
    baselines = cloze.baselines(0)
    sizes = {type: len(table.names) for type, table in cloze.test.candidates.items()}
    harmonic = {type: sum(1 / k for k in range(1, size + 1)) / size for type, size in sizes.items()}
    expected = np.mean([harmonic[case.type] for case in cloze.test.cases])
    assert baselines["chance"]["mrr"].value == pytest.approx(expected)
    assert baselines["links"]["mrr"].value > baselines["chance"]["mrr"].value


def test_details_count_the_cases(cloze):
    details = cloze.details()
    assert details["cases"] == 40 == sum(type["cases"] for type in details["types"].values())


def test_records_have_each_arms_rank(cloze, answers):
    lines = list(records(cloze, {"a": answers[0], "b": answers[1]}))
    assert len(lines) == 40
    assert [line["ranks"]["b"] for line in lines] == answers[1]["ranks"].tolist()


def test_cloze_rejects_a_model_without_masked_lm(cloze):
    with pytest.raises(ValueError, match="needs a model that fills masks"):
        cloze.answer(OpenedModel(Path("writer")), quiet)
