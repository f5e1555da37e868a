"""A study from end to end, through the command line: two arms and two seeds of the docs' example."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.kepipe_run import EXAMPLE, TINY, Kepipe

SECTION = """
study:
  seeds: 2
  arms: {knowledge: {}, plain: {pretrain: {knowledge: null}}}
  controls: [plain]
  measure: {evaluate: [entity_cloze/mrr, mlm_loss/tokens], pretrain: final_held_out_loss}
"""
SETTINGS = tuple(setting for setting in TINY if not setting.startswith("stages.embed"))
COPIES = {
    f"{stage}.{arm}.{seed}"
    for stage in ("pretrain", "evaluate")
    for arm in ("knowledge", "plain")
    for seed in (0, 1)
}


def told(kepipe: Kepipe) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((kepipe.workspace / "example" / "study" / "study.json").read_text())
    return found


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Kepipe:
    """A whole study, killed once during training and resumed."""
    folder = tmp_path_factory.mktemp("study")
    shutil.copytree(EXAMPLE.parent, folder / "example")
    file = folder / "example" / "pipeline.yaml"
    text = file.read_text().split("  control:")[0] + "  evaluate: {context: 64}\n" + SECTION
    file.write_text(text.replace("  embed: {dim: 16, epochs: 20}\n", ""))
    kepipe = Kepipe(folder / "workspace", file)
    assert kepipe.run_here("--until", "shards", settings=SETTINGS).code == 0
    broken = kepipe.run(
        settings=SETTINGS,
        kill_at=lambda event: event["event"] == "StageStarted" and event["stage"] == "pretrain.plain.0",
    )
    assert broken.code == -9
    outcome = kepipe.run_here(settings=SETTINGS)
    assert outcome.code == 0, outcome.errors
    statuses = outcome.statuses()
    assert statuses["pretrain.knowledge.0"] == "cached"
    assert {name for name in statuses if "." in name} == COPIES
    assert statuses["study"] == "finished"
    return kepipe


def test_study_arms_share_stages_and_seeds_differ(studied: Kepipe) -> None:
    def state(name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((studied.workspace / "example" / name / "kepipe.json").read_text())
        return found

    assert [state(f"pretrain.plain.{seed}")["seed"] for seed in (0, 1)] == [0, 1]
    assert state("pretrain.plain.1")["shards"] == state("pretrain.knowledge.0")["shards"]
    # graph, corpus, link, shards; eight copies; the study
    assert len(list((studied.workspace / "store" / "done").iterdir())) == 4 + len(COPIES) + 1


def test_study_reports_its_finding(studied: Kepipe) -> None:
    found = told(studied)
    assert "gain" in found["verdict"].lower()
    assert (found["reference"], found["controls"], found["seeds"]) == ("plain", ["plain"], [0, 1])
    cloze, loss, held_out = found["findings"]
    assert [part["measure"] for part in (cloze, loss, held_out)] == [
        "evaluate/entity_cloze/mrr", "evaluate/mlm_loss/tokens", "pretrain/final_held_out_loss"
    ]  # fmt: skip
    values = cloze["arms"]["knowledge"]["by_seed"]
    scores = json.loads((studied.workspace / "example" / "evaluate.knowledge.1" / "scores.json").read_text())
    assert values[1] == scores["arms"]["pretrain.knowledge.1"]["entity_cloze"]["mrr"]["value"]
    apart = cloze["differences"]["knowledge − plain"]["by_seed"]
    assert apart == pytest.approx(
        [a - b for a, b in zip(values, cloze["arms"]["plain"]["by_seed"], strict=True)]
    )
    assert found["conditions"]["pretrain"]["steps"] == 24
    page = (studied.workspace / "example" / "study" / "report.html").read_text()
    assert page.count("<svg") == 6


def test_second_run_is_cached_and_another_measure_reruns_only_the_comparison(studied: Kepipe) -> None:
    assert set(studied.run_here(settings=SETTINGS).statuses().values()) == {"cached"}
    asked = (*SETTINGS, "study.measure={evaluate: mlm_loss/tokens}")
    statuses = studied.run_here(settings=asked).statuses()
    assert [name for name, status in statuses.items() if status == "finished"] == ["study"]
    assert studied.run_here(settings=SETTINGS).code == 0


def test_equal_arms_show_no_gain(studied: Kepipe, tmp_path: Path) -> None:
    kepipe = Kepipe(tmp_path / "workspace", studied.pipeline)
    shutil.copytree(studied.workspace, kepipe.workspace, symlinks=True)
    same = (*SETTINGS, "study.arms={knowledge: {}, plain: {}}")
    outcome = kepipe.run_here(settings=same)
    assert outcome.code == 0, outcome.errors
    assert outcome.statuses()["pretrain.1"] == "cached"
    assert told(kepipe)["verdict"].startswith("No gain shown: knowledge and plain have the same")


def test_missing_metric_is_reported_before_training(studied: Kepipe) -> None:
    outcome = studied.run(settings=(*SETTINGS, "study.measure={evaluate: entity_cloze/mmr}"))
    assert outcome.code == 2, "told before anything runs"
    assert "entity_cloze/mmr" in outcome.errors
    assert "entity_cloze/mrr" in outcome.errors
    assert "Traceback" not in outcome.errors
    assert studied.run_here(settings=SETTINGS).code == 0


def test_plan_is_grouped_by_arm(studied: Kepipe) -> None:
    flags = [flag for setting in SETTINGS for flag in ("--set", setting)]
    command = studied.command("plan", str(studied.pipeline), *flags, "--set", "study.seeds=3")
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    plain = [line.split()[:5] for line in lines[lines.index("  plain") :]]
    assert plain[1] == ["pretrain", "seeds", "0-1", "cached", "made"]
    assert plain[2] == ["pretrain", "seed", "2", "to", "run"]
