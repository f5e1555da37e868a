"""Scheduled retraining for real: a scheduler process, a schedule of seconds, and new text between two runs."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kepipe.cli import app
from tests.support.kepipe_run import EXAMPLE, TINY, Kepipe
from tests.support.waiting import TIMEOUT, until

SETTINGS = (*TINY, "stages.pretrain.steps=12", "stages.evaluate.probes=[entity-cloze]")


@pytest.fixture
def kepipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kepipe:
    """A copy of the example, so that text can be added."""
    monkeypatch.delenv("KEPIPE_TRACKING", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    shutil.copytree(EXAMPLE.parent, tmp_path / "example")
    return Kepipe(tmp_path / "workspace", tmp_path / "example" / "pipeline.yaml")


@pytest.fixture
def scheduler(kepipe: Kepipe, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`kepipe scheduler`, stopped at the end as Ctrl-C stops it."""
    with (tmp_path / "scheduler.log").open("wb") as log:
        process = subprocess.Popen(kepipe.command("scheduler"), stdout=log, stderr=log)
        yield process
        process.send_signal(signal.SIGINT)
        process.wait(TIMEOUT)


def ask(kepipe: Kepipe, *arguments: str) -> str:
    """What a command prints, run in this process: so that polling takes no time from the awaited process."""
    ended = CliRunner().invoke(app, [*arguments, "--workspace", str(kepipe.workspace)])
    assert ended.exit_code == 0, ended.output
    return ended.stdout


def versions(kepipe: Kepipe) -> dict[int, list[str]]:
    """Version of the model → its aliases, by `kepipe models list`."""
    listed = ask(kepipe, "models", "list")
    lines = re.finditer(r"^example +(\d+)  \S+ \S+  (.{22})", listed, re.MULTILINE)
    return {int(line[1]): line[2].split() for line in lines}


def wait_for(kepipe: Kepipe, number: int, alias: str) -> None:
    """Until a version is there and has its alias, which it gets a moment later."""

    def newest_log() -> str:
        logs = sorted((kepipe.workspace / "schedule" / "example").glob("*.log"))
        return f"no version {number}; the last firing said: {logs[-1].read_text() if logs else 'nothing'}"

    until(lambda: alias in versions(kepipe).get(number, []), pause=2.0, describe=newest_log)


def test_scheduled_run_on_new_text_registers_a_challenger(
    kepipe: Kepipe, scheduler: subprocess.Popen[bytes]
) -> None:
    flags = [flag for setting in SETTINGS for flag in ("--set", setting)]
    ask(kepipe, "schedule", "add", str(kepipe.pipeline), "--cron", "*/10 * * * * *", *flags)
    wait_for(kepipe, 1, "champion")
    model = (kepipe.workspace / "example" / "pretrain").resolve()
    vectors = (kepipe.workspace / "example" / "embed").resolve()
    text = (
        "Voyager flew past Neptune and its moon Triton in 1989. Geysers rose from Triton. Neptune was blue."
    )
    (kepipe.pipeline.parent / "texts" / "voyager.txt").write_text(text)
    wait_for(kepipe, 2, "challenger")
    assert (kepipe.workspace / "example" / "pretrain").resolve() != model
    assert (kepipe.workspace / "example" / "embed").resolve() == vectors
    time.sleep(20)
    both = versions(kepipe)
    assert len(both) == 2, "a run without new text must register no model"
    assert "finished" in ask(kepipe, "schedule", "list")
    ask(kepipe, "schedule", "remove", "example")
    (champion,) = (number for number, aliases in both.items() if "champion" in aliases)
    other = 3 - champion
    ask(kepipe, "models", "promote", "example", str(other))
    assert "champion" in versions(kepipe)[other]
    ask(kepipe, "models", "rollback", "example")
    assert "champion" in versions(kepipe)[champion]
