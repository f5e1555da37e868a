"""The commands for schedules and tracking, on a tiny workspace."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kepipe.cli import app
from kepipe.config import ConfigError
from kepipe.pipeline.sources import sources
from tests.support.kepipe_run import EXAMPLE
from tests.support.tasks import base_model

PIPELINE = """
name: tiny
graph: {source: geonames}
corpus: {source: wikipedia-sample}
stages:
  link: {language: en}
"""


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    file = tmp_path / "tiny.yaml"
    file.write_text(PIPELINE)
    return file


def call(*words: str) -> str:
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_schedule_add_list_remove(pipeline: Path, tmp_path: Path) -> None:
    space = ("--workspace", str(tmp_path / "space"))
    added = call("schedule", "add", str(pipeline), "--cron", "0 2 * * 1", *space)
    assert "tiny" in added
    assert "no scheduler is running" in added
    listed = call("schedule", "list", *space)
    assert "0 2 * * 1" in listed
    assert "02:00:00" in listed
    assert "never fired" in listed
    assert "was removed" in call("schedule", "remove", "tiny", *space)
    assert "tiny" not in call("schedule", "list", *space)


def test_schedule_pause_resume_next_history(pipeline: Path, tmp_path: Path) -> None:
    space = ("--workspace", str(tmp_path / "space"))
    call("schedule", "add", str(pipeline), "--cron", "0 2 * * *", "--zone", "Asia/Tokyo", *space)
    assert call("schedule", "next", "tiny", "-n", "3", *space).count("02:00:00 JST") >= 2
    assert call("schedule", "pause", "tiny", *space) == "tiny is paused\n"
    assert "paused" in call("schedule", "list", *space)
    assert call("schedule", "next", "tiny", *space) == "tiny is paused\n"
    assert "next 20" in call("schedule", "resume", "tiny", *space)
    assert call("schedule", "history", "tiny", *space) == "tiny has not run yet\n"
    assert call("scheduler", "--once", *space) == "no schedule is due, and no source has changed\n"


def test_schedule_watches_all_files_that_its_stages_read(pipeline: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "io.txt").write_text("Io orbits Jupiter.")
    pipeline.write_text(PIPELINE.replace("source: wikipedia-sample", f"source: folder, path: {texts}"))
    graph, base = tmp_path / "graph", base_model(tmp_path / "base", layers=1).folder
    shutil.copytree(EXAMPLE.parent, graph)
    text = pipeline.read_text().replace("source: geonames", f"source: native, path: {graph}")
    other = shutil.copytree(base, tmp_path / "other")
    pipeline.write_text(
        f"{text}  shards: {{tokenizer: {{from: {base}}}}}\n  pretrain: {{base: {{from: {base}}}}}\n"
        f"  second: {{use: pretrain, base: {{from: {other}}}}}\n"
    )
    before = sources(pipeline, ())
    assert {"pipeline", "corpus/io.txt"} <= before.keys()
    changes = {
        "corpus/io.txt": texts / "io.txt",
        "graph/triples.tsv": graph / "triples.tsv",
        "base/tokenizer.json": base / "tokenizer.json",
        "second/base/tokenizer.json": other / "tokenizer.json",
    }
    for number, (name, file) in enumerate(changes.items(), 1):
        os.utime(file)
        assert sources(pipeline, ()) == before
        file.write_text(file.read_text() + "\n" * number)
        after = sources(pipeline, ())
        assert name in {name for name, digest in after.items() if before.get(name) != digest}
        before = after


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--cron", "0 2 * * 9"], "field weekday"),
        ([], "give exactly one trigger: --cron, --when-changed, --after or --on-drift"),
        (["--cron", "@daily", "--on-drift"], "give exactly one trigger: --cron"),
        (["--cron", "@daily", "--zone", "Mars/Olympus"], "time zone"),
        (["--after", "nobody"], "no schedule `nobody`"),
        (["--cron", "@daily", "--set", "stages.link.langage=en"], "langage"),
    ],
)
def test_schedule_add_rejects_invalid_schedules(
    pipeline: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        call("schedule", "add", str(pipeline), *words, "--workspace", str(tmp_path / "space"))


def test_schedule_run_now_rejects_an_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no schedule `nightly`"):
        call("schedule", "run-now", "nightly", "--workspace", str(tmp_path))


def test_track_status_names_the_local_store(tmp_path: Path) -> None:
    assert "mlflow.db" in call("track", "status", "--workspace", str(tmp_path))


def test_dashboard_of_a_remote_server_prints_its_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5999")
    assert "http://127.0.0.1:5999: open it" in call("dashboard", "--workspace", str(tmp_path))
