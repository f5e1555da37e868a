"""Commands that only read, in a workspace that is read-only: a mount, a backup, another user's folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

import kepipe
from kepipe.cli import app
from kepipe.tracking.store import connect
from tests.support.own_data import write_project
from tests.support.read_only import call_read_only
from tests.support.serving import register
from tests.support.tasks import base_model


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline that has run in the workspace beside it, which has a schedule and a registered model too."""
    file = write_project(tmp_path_factory.mktemp("read-only") / "project", "en")
    written = yaml.safe_load(file.read_text())
    written["stages"] = {name: written["stages"][name] for name in ("link", "shards")}
    file.write_text(yaml.safe_dump(written, sort_keys=False))
    workspace = file.parent.parent / "workspace"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEPIPE_TRACKING", "off")
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
            patch.delenv(name, raising=False)
        kepipe.run(file, workspace=workspace, progress=False)
        command = ["schedule", "add", str(file), "--cron", "0 2 * * 1", "--workspace", str(workspace)]
        assert CliRunner().invoke(app, command).exit_code == 0
        made = base_model(file.parent.parent / "made", layers=1).folder
        register(connect(workspace), "towns", made, 0.5)
    return file


READING = {
    "schedule list": "0 2 * * 1",
    "schedule next own-en": "02:00:00",
    "schedule history own-en": "has not run yet",
    "models list": "towns",
    "models history towns": "version 1",
    "predict models:/towns@champion [MASK]": "[MASK]",
    "models archive towns --dry-run": "would be archived: none",
    "plan PIPELINE": "cached",
    "lineage WORKSPACE/own-en/shards": "entities.jsonl",
    "runs diff WORKSPACE/own-en/shards WORKSPACE/own-en/shards": "they are the same result",
    "runs list": "own-en",
    "runs diff WORKSPACE/own-en WORKSPACE/own-en": "all stages have the same settings",
    "cache list": "shards",
    "cache verify": "no damage found",
    "track status": "mlflow.db",
}
"""Command → part of what it prints."""


def test_commands_that_read_work_in_a_read_only_workspace(pipeline: Path) -> None:
    workspace = pipeline.parent.parent / "workspace"
    lines = [line.replace("PIPELINE", str(pipeline)) for line in READING]
    commands = [
        [*line.replace("WORKSPACE", str(workspace)).split(), "--workspace", workspace] for line in lines
    ]
    done = dict(zip(READING, call_read_only(workspace, *commands), strict=True))
    assert {line: output for line, (code, output) in done.items() if code} == {}
    assert {line: done[line][1] for line, part in READING.items() if part not in done[line][1]} == {}


def test_a_schedule_of_a_read_only_workspace_cannot_be_changed(pipeline: Path) -> None:
    workspace = pipeline.parent.parent / "workspace"
    changes = [["pause", "own-en"], ["remove", "own-en"], ["add", str(pipeline), "--cron", "0 3 * * *"]]
    commands = [["schedule", *change, "--workspace", workspace] for change in changes]
    for code, output in call_read_only(workspace, *commands):
        assert code == 1
        assert "schedules can be listed, not changed" in output


def test_other_changes_of_a_read_only_workspace_are_refused_in_words(pipeline: Path) -> None:
    workspace = pipeline.parent.parent / "workspace"
    changes = ("cache clear --everything", "models promote towns 1", "models archive towns")
    commands = [[*line.split(), "--workspace", workspace] for line in changes]
    for code, output in call_read_only(workspace, *commands):
        assert code
        assert "is not writable, so nothing can be changed there" in output


def test_a_registered_model_is_found_in_a_read_only_workspace_that_was_moved(pipeline: Path) -> None:
    """As in a backup, or a mount at another path: MLflow's file still has the old one."""
    workspace = pipeline.parent.parent / "workspace"
    moved = workspace.rename(workspace.with_name("moved"))
    try:
        command = ["predict", "models:/towns@champion", "[MASK]", "--workspace", moved]
        ((code, output),) = call_read_only(moved, command)
    finally:
        moved.rename(workspace)
    assert (code, "[MASK]" in output) == (0, True), output


def test_an_empty_read_only_workspace_has_no_schedules_and_no_registry(tmp_path: Path) -> None:
    for workspace in (tmp_path, tmp_path / "missing"):
        commands = [[*line.split(), "--workspace", workspace] for line in ("schedule list", "models list")]
        listed, models = call_read_only(tmp_path, *commands)
        assert listed == (0, "no scheduler is running; start it with `kepipe scheduler`\n")
        assert f"there is no MLflow store, and {workspace} is not writable" in models[1]


def test_a_damaged_result_of_a_read_only_workspace_is_reported_and_stays(pipeline: Path) -> None:
    workspace = pipeline.parent.parent / "workspace"
    (damaged := (workspace / "own-en" / "shards").resolve() / "extra").write_text("x")
    try:
        verified, planned = call_read_only(
            workspace,
            ["cache", "verify", "--workspace", workspace],
            ["plan", pipeline, "--workspace", workspace],
        )
    finally:
        damaged.unlink()
    assert verified[0] == 1
    assert "1 damaged" in verified[1]
    assert "it stays there" in verified[1]
    assert planned[0] == 0
    assert "is not writable" in planned[1]
