"""Metrics are read from the stages' results; arms with different training settings are rejected."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kepipe.flow.artifact import RECORD, Artifact, seal
from kepipe.studies.compare import compare
from kepipe.studies.conditions import NotComparable
from kepipe.studies.design import Measure, better_by_name
from kepipe.studies.intervals import Estimate
from kepipe.studies.reading import read_figure
from kepipe.studies.scores import Scores, write_scores
from tests.support.studies import F1, Values, design_of, result

Make = Callable[[Values], dict[str, Artifact]]
VALUES: Values = {"on": (0.6, 0.62), "off": (0.5, 0.51)}


def measure(metric: str) -> Measure:
    return Measure(stage="finetune", metric=metric, better=better_by_name(metric))


def test_scores_and_logged_metrics_are_compared_by_seed(results: Make) -> None:
    design = design_of(VALUES, F1, measure("accuracy"), measure("loss"))
    found = compare(design, results(VALUES))
    assert [finding.of("on").by_seed for finding in found.findings] == [(0.6, 0.62), (0.3, 0.31), (1.5, 1.5)]
    assert [finding.measure.better for finding in found.findings] == ["higher", "higher", "lower"]
    assert found.conditions["finetune"]["steps"] == 60
    assert found.conditions["finetune"]["seed"] == {"0": 0, "1": 1}
    assert found.conditions["finetune"]["batch_tokens"] == 512


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"steps": 48}, "with seed 1, steps of `finetune` is 60 in `on`, 48 in `off`"),
        ({"shards": "abc"}, "with seed 1, shards of `finetune` is not recorded in `on`, abc in `off`"),
        ({"data": "q1"}, "with seed 1, data of `finetune` is not recorded in `on`, q1 in `off`"),
        ({"config": {"batch_tokens": 256}}, "batch_tokens of `finetune` is 512 in `on`, 256 in `off`"),
    ],
)
def test_arms_with_different_training_settings_are_rejected(
    results: Make, tmp_path: Path, stated: dict[str, object], message: str
) -> None:
    there = results(VALUES)
    there["finetune.off.1"] = result(tmp_path / "other", "finetune.off.1", 1, 0.5, **stated)
    with pytest.raises(NotComparable, match=message):
        compare(design_of(VALUES), there)
    meant = tuple(stated) if "config" not in stated else ("batch_tokens", "length")
    assert compare(design_of(VALUES, may_differ=meant), there).findings


def test_model_without_recorded_settings_cannot_be_compared(results: Make) -> None:
    there = results(VALUES)
    for artifact in there.values():
        (artifact.folder / "kepipe.json").write_text("{}")
    with pytest.raises(NotComparable, match=r"have no seed in kepipe\.json"):
        compare(design_of(VALUES), there)


def test_arms_with_different_cases_are_rejected(results: Make) -> None:
    there = results(VALUES)
    scores = Scores({"model": {"test": {"micro_f1": Estimate(0.5, None, None, 48, 48)}}})
    write_scores(there["finetune.off.0"].folder / "scores.json", scores)
    with pytest.raises(NotComparable, match=r"cases of `finetune/test/micro_f1` is 50 in `on`, 48 in `off`"):
        compare(design_of(VALUES), there)


def test_missing_metric_suggests_the_nearest(results: Make) -> None:
    with pytest.raises(ValueError, match=r"no single figure `test/micro_f2`; did you mean `test/micro_f1`"):
        compare(design_of(VALUES, measure("test/micro_f2")), results(VALUES))


def test_arm_may_lack_a_secondary_metric(results: Make) -> None:
    values = VALUES | {"shuffled": (0.4, 0.41)}
    there = results(values)
    for seed in (0, 1):
        (there[f"finetune.off.{seed}"].folder / RECORD / "metrics.jsonl").write_text(
            '{"step": 60, "loss": 1.5}\n'
        )
    decides, beside = compare(design_of(values, F1, measure("accuracy")), there).findings
    assert [found.arm for found in decides.values] == ["on", "off", "shuffled"]
    assert [found.arm for found in beside.values] == ["on", "shuffled"]
    assert [(d.first, d.second) for d in beside.differences] == [
        pair for pair in ((d.first, d.second) for d in decides.differences) if "off" not in pair
    ]
    with pytest.raises(ValueError, match="no single figure `accuracy`"):
        compare(design_of(values, measure("accuracy")), there)
    metrics = there["finetune.on.0"].folder / RECORD / "metrics.jsonl"
    metrics.write_text('{"step": 60, "loss": 1.5}\n')
    with pytest.raises(ValueError, match=r"`finetune.on.0` has no single figure `accuracy`"):
        compare(design_of(values, F1, measure("accuracy")), there)


def test_metric_of_a_single_model_needs_no_model_name(tmp_path: Path) -> None:
    def evaluation(folder: Path, *models: str) -> Artifact:
        folder.mkdir()
        mrr, moons = Estimate(0.25, None, None, 9, 3), Estimate(0.5, None, None, 2, 1)
        cloze = {"mrr": mrr, "by_type/moon/mrr": moons}
        baselines = {"cloze": {"links": {"mrr": Estimate(0.9, None, None, 9, 3)}}}
        write_scores(
            folder / "scores.json", Scores({model: {"cloze": cloze} for model in models}, baselines=baselines)
        )
        seal(folder, {}, "r")
        return Artifact.open(folder, "evaluate")

    stages = {"pretrain.on.0": "pretrain", "control.on.0": "control", "evaluate.on.0": "evaluate"}
    one = evaluation(tmp_path / "one", "pretrain.on.0")
    assert read_figure(one, "cloze/mrr", stages).value == 0.25
    assert read_figure(one, "cloze/mrr", stages).cases == 9
    assert read_figure(one, "pretrain/cloze/by_type/moon/mrr", stages).value == 0.5
    assert read_figure(one, "baselines/cloze/links/mrr", stages).value == 0.9
    two = evaluation(tmp_path / "two", "pretrain.on.0", "control.on.0")
    assert read_figure(two, "control/cloze/mrr", stages).value == 0.25
    with pytest.raises(ValueError, match="no single figure `cloze/mrr`"):
        read_figure(two, "cloze/mrr", stages)
