"""A study that compares how well entities of held-out text are named: the figure is one that `pretrain` logs."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest

from tests.support.kepipe_run import EXAMPLE, Kepipe, Outcome

FIGURES = ("final_held_out_entity_accuracy", "final_held_out_changed_entity_accuracy")
PIPELINE = f"""
name: naming
graph: {{source: native, path: example}}
corpus: {{source: folder, path: example/texts, held_out: 0.3}}
stages:
  link: {{spacy_model: null}}
  shards: {{tokenizer: {{size: 700}}}}
  embed: {{dim: 8, epochs: 2}}
  pretrain:
    base: {{family: bert, hidden: 32, layers: 2, heads: 2}}
    knowledge: {{method: ernie-tsinghua, entity_heads: 2}}
    format: segment-pair
    length: 48
    steps: 4
    batch_tokens: 512
    eval_every: 4
study:
  seeds: 2
  arms: {{full: {{}}}}
  controls: [graph-shuffled]
  measure: {{pretrain: [{", ".join(FIGURES)}]}}
"""


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> tuple[Kepipe, Outcome]:
    folder = tmp_path_factory.mktemp("naming")
    shutil.copytree(EXAMPLE.parent, folder / "example")
    (folder / "naming.yaml").write_text(PIPELINE)
    kepipe = Kepipe(folder / "workspace", folder / "naming.yaml")
    outcome = kepipe.run_here(settings=())
    assert outcome.code == 0, outcome.errors
    return kepipe, outcome


def found(kepipe: Kepipe) -> dict[str, Any]:
    study: dict[str, Any] = json.loads((kepipe.workspace / "naming" / "study" / "study.json").read_text())
    return study


def test_study_compares_last_logged_metrics_by_seed(
    studied: tuple[Kepipe, Outcome],
) -> None:
    kepipe, outcome = studied
    logged: dict[tuple[str, str], float] = {}
    for event in outcome.events:
        if event["event"] == "Metrics":
            logged |= {(event["stage"], name): value for name, value in event["values"].items()}
    findings = found(kepipe)["findings"]
    assert [finding["measure"] for finding in findings] == [f"pretrain/{name}" for name in FIGURES]
    for finding, name in zip(findings, FIGURES, strict=True):
        assert finding["better"] == "higher"
        for arm in ("full", "graph-shuffled"):
            expected = [logged[f"pretrain.{arm}.{seed}", name] for seed in (0, 1)]
            assert finding["arms"][arm]["by_seed"] == expected
            assert all(0 <= value <= 1 for value in expected)


def test_missing_metric_of_an_arm_is_an_error(studied: tuple[Kepipe, Outcome]) -> None:
    """It is refused with what there is instead of being compared with something else."""
    arms = "study.arms={full: {}, plain: {pretrain: {knowledge: {denoising: false}}}}"
    outcome = studied[0].run_here(settings=(arms, "study.seeds=1"))
    assert outcome.code == 1
    assert f"has no single figure `{FIGURES[0]}`" in outcome.errors
