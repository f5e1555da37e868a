"""The main job from end to end, through the command line, on the example of the docs."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from kepipe.flow.events import Metrics
from kepipe.flow.journal import read
from kepipe.flow.plan import Workspace
from kepipe.studies.scores import read_scores, single_values
from kepipe.tracking.names import allowed
from tests.support.kepipe_run import EXAMPLE, TINY, Kepipe

STAGES = (
    "graph",
    "corpus",
    "link",
    "shards",
    "embed",
    "pretrain",
    "control",
    "evaluate",
    "report",
    "register",
)


def result(kepipe: Kepipe, name: str, pipeline: str = "example") -> Path:
    return kepipe.workspace / pipeline / name


def copy_of(finished: Kepipe, tmp_path: Path, *without: str) -> Kepipe:
    """The finished workspace without the results of some stages."""
    copied = Kepipe(tmp_path / "workspace")
    shutil.copytree(finished.workspace, copied.workspace, symlinks=True)
    for name in without:
        shutil.rmtree(result(copied, name).resolve())
    return copied


def test_every_stage_writes_its_results(finished: Kepipe) -> None:
    for name in STAGES:
        assert (result(finished, name) / "artifact.json").is_file()
    documents = [json.loads(line) for line in (result(finished, "link") / "documents.jsonl").open()]
    linked = {mention["entity"] for document in documents for mention in document["mentions"]}
    assert {"titan", "huygens", "saturn"} <= linked
    scores = json.loads((result(finished, "evaluate") / "scores.json").read_text())
    for arm in ("pretrain", "control"):
        interval = scores["arms"][arm]["entity_cloze"]["mrr"]
        assert 0 < interval["value"] <= 1
    (difference,) = scores["differences"]
    assert (difference["first"], difference["second"]) == ("pretrain", "control")
    page = (result(finished, "report") / "report.html").read_text()
    assert page.count("<svg") >= 4
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_each_metric_is_logged_once_under_a_unique_name(finished: Kepipe) -> None:
    """A count under the name of a loss would be the value that MLflow shows of it."""
    logged: Counter[tuple[str, int | None, str]] = Counter()
    for journal in (finished.workspace / "tracking").glob("*.jsonl"):
        for entry in read(journal):
            if isinstance(entry.event, Metrics):
                logged.update(
                    (entry.event.stage, entry.event.step, allowed(name)) for name in entry.event.values
                )
    assert {"evaluate", "pretrain", "link", "embed"} <= {stage for stage, _, _ in logged}
    assert [name for name, times in logged.items() if times > 1] == []
    scores = read_scores(result(finished, "evaluate") / "scores.json")
    names = {name for stage, _, name in logged if stage == "evaluate"}
    for arm, measured in scores.arms.items():
        assert {allowed(f"{arm}/{name}") for name in single_values(measured)} <= names


def test_arms_have_the_same_initial_weights_and_data(finished: Kepipe) -> None:
    arms = [
        json.loads((result(finished, arm) / "kepipe.json").read_text()) for arm in ("pretrain", "control")
    ]
    different = {key for key in arms[0]["config"] if arms[0]["config"][key] != arms[1]["config"][key]}
    assert different == {"knowledge"}
    assert arms[0]["shards"] == arms[1]["shards"]
    assert arms[0]["seed"] == arms[1]["seed"]
    logs = [result(finished, arm) / "record" / "metrics.jsonl" for arm in ("pretrain", "control")]
    starts = [json.loads(log.read_text().splitlines()[0]) for log in logs]
    assert starts[0]["step"] == starts[1]["step"] == 0
    assert starts[0]["held_out_loss"] == starts[1]["held_out_loss"]


def test_names_of_workspace_folders_are_reserved(finished: Kepipe) -> None:
    folders = {place.name for place in finished.workspace.iterdir() if place.is_dir()}
    assert folders - {"example"} <= Workspace.RESERVED


def test_second_run_is_cached(finished: Kepipe) -> None:
    outcome = finished.run_here()
    assert outcome.code == 0
    assert outcome.statuses() == dict.fromkeys(STAGES, "cached")


def test_plan_names_the_change_and_the_waiting_stages(finished: Kepipe) -> None:
    flags = [flag for setting in (*TINY, "stages.control.steps=30") for flag in ("--set", setting)]
    command = finished.command("plan", str(finished.pipeline), *flags)
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    plan = {line.split()[0]: line for line in lines}
    assert list(plan) == list(STAGES)
    assert "cached" in plan["pretrain"]
    assert plan["control"].endswith("steps changed, 24 → 30")
    assert plan["evaluate"].endswith("waits for its input `control`")


Moment = Callable[[Mapping[str, Any]], bool]


def stage_starts(name: str) -> Moment:
    return lambda event: event["event"] == "StageStarted" and event["stage"] == name


def at_step(name: str, step: int) -> Moment:
    return lambda event: (
        event["event"] == "Metrics" and event["stage"] == name and (event["step"] or 0) >= step
    )


def heed_ctrl_c() -> None:
    """Background processes of a shell ignore it, and so do their children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("kill_by", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_says_that_the_same_command_continues(
    finished: Kepipe, tmp_path: Path, kill_by: signal.Signals
) -> None:
    stopped = copy_of(finished, tmp_path, "control")
    outcome = stopped.run(kill_at=at_step("control", 8), kill_by=kill_by, limits=heed_ctrl_c)
    assert outcome.code == 130
    assert "the same command continues" in outcome.errors
    assert outcome.statuses()["control"] == "killed"
    assert "Traceback" not in outcome.errors
    assert stopped.run().statuses()["control"] == "finished"


def test_killed_training_in_two_processes_resumes_bit_identically(finished: Kepipe, tmp_path: Path) -> None:
    settings = (*TINY, "stages.pretrain.accumulate=2", "stages.pretrain.processes=2")
    models = []
    for name, moment in (("whole", None), ("broken", at_step("pretrain", 10))):
        kepipe = copy_of(finished, tmp_path / name, "pretrain")
        if moment is not None:
            killed = kepipe.run("--until", "pretrain", settings=settings, kill_at=moment)
            assert killed.code == -signal.SIGKILL
        ended = kepipe.run("--until", "pretrain", settings=settings)
        assert ended.statuses()["pretrain"] == "finished", ended.errors
        models.append((result(kepipe, "pretrain") / "model.safetensors").read_bytes())
    assert models[0] == models[1]


def test_run_killed_in_every_stage_resumes_bit_identically(finished: Kepipe, tmp_path: Path) -> None:
    broken = Kepipe(tmp_path / "broken")
    moments = [
        stage_starts("link"),
        at_step("embed", 3),
        at_step("pretrain", 4),
        at_step("pretrain", 18),
        at_step("control", 12),
        stage_starts("evaluate"),
        stage_starts("report"),
    ]
    for moment in moments:
        outcome = broken.run(kill_at=moment)
        assert outcome.code == -9, outcome.errors
    outcome = broken.run()
    assert outcome.code == 0, outcome.errors
    for name in set(STAGES) - {"report"}:  # the page tells how long each stage took
        ends = [
            json.loads((result(kepipe, name) / "artifact.json").read_text()) for kepipe in (finished, broken)
        ]
        assert ends[0]["digest"] == ends[1]["digest"], name
    weights = [
        (result(kepipe, "pretrain") / "model.safetensors").read_bytes() for kepipe in (finished, broken)
    ]
    assert weights[0] == weights[1]


def test_full_disk_is_reported_and_the_run_can_continue(finished: Kepipe, tmp_path: Path) -> None:
    kepipe = copy_of(finished, tmp_path, "pretrain")

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    outcome = kepipe.run(limits=small_files)
    assert outcome.code == 1
    assert "stage `pretrain` failed" in outcome.errors
    assert "Traceback" not in outcome.errors
    outcome = kepipe.run()
    assert outcome.code == 0, outcome.errors
    weights = [(result(k, "pretrain") / "model.safetensors").read_bytes() for k in (finished, kepipe)]
    assert weights[0] == weights[1]


def test_damaged_model_is_made_again(finished: Kepipe, tmp_path: Path) -> None:
    kepipe = copy_of(finished, tmp_path)
    file = result(kepipe, "control") / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x00")
    outcome = kepipe.run()
    assert outcome.code == 0, outcome.errors
    statuses = outcome.statuses()
    assert statuses["control"] == "finished"
    assert statuses["pretrain"] == statuses["evaluate"] == "cached"
    warnings = [event["message"] for event in outcome.events if event.get("level") == "warning"]
    assert any("does not match its digest" in warning for warning in warnings)


def test_new_text_reruns_only_dependent_stages(finished: Kepipe, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE.parent, tmp_path / "example")
    kepipe = copy_of(finished, tmp_path)
    kepipe.pipeline = tmp_path / "example" / "pipeline.yaml"
    stages = [f"--only={stage}" for stage in ("graph", "corpus", "link", "shards", "embed")]
    assert set(kepipe.run_here(*stages).statuses().values()) == {"cached"}
    (tmp_path / "example" / "texts" / "more.txt").write_text("Voyager flew past Neptune and Triton in 1989.")
    outcome = kepipe.run_here(*stages)
    assert outcome.statuses() == {
        "graph": "cached",
        "corpus": "finished",
        "link": "finished",
        "shards": "finished",
        "embed": "cached",
    }
