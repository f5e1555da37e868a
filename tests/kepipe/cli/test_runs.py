"""Lineage and differences of results, by real runs of a small pipeline."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

import kepipe
from kepipe.cli import app
from tests.support.own_data import write_project


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """The folders of a training, of one with other settings, and of one with another text."""
    folder: Path = tmp_path_factory.mktemp("runs")
    file = write_project(folder / "project", "en")
    pipeline = yaml.safe_load(file.read_text())
    pipeline["stages"] = {name: pipeline["stages"][name] for name in ("link", "shards", "pretrain")}
    file.write_text(yaml.safe_dump(pipeline, sort_keys=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEPIPE_TRACKING", "off")
        made = {"workspace": folder / "workspace"}
        for name, settings in {"first": {}, "longer": {"set": ["stages.pretrain.steps=9"]}}.items():
            result = kepipe.run(file, workspace=folder / "workspace", progress=False, **settings)
            made[name] = result.folders["pretrain"]
        (folder / "project" / "texts" / "0.txt").write_text("Boats go down the Alane to Marford.")
        result = kepipe.run(file, workspace=folder / "workspace", progress=False)
        yield {**made, "other-text": result.folders["pretrain"], "link": result.folders["link"]}


def ask(runs: dict[str, Path], *words: str | Path) -> Result:
    return CliRunner().invoke(app, [*map(str, words), "--workspace", str(runs["workspace"])])


def test_lineage_follows_a_result_to_the_users_files(runs: dict[str, Path]) -> None:
    text = ask(runs, "lineage", runs["first"]).stdout
    lines = text.splitlines()
    assert lines[0].startswith("pretrain  ")
    assert [line.split()[1] for line in lines if ": " in line] == ["shards", "link", "corpus", "graph"]
    assert any(line.split()[0] == "0.txt" for line in lines)
    record = json.loads(ask(runs, "lineage", runs["first"], "--json").stdout)
    results = record["results"]
    root = results[record["root"]]
    assert (root["stage"], len(results)) == ("pretrain", 5)
    linked = results[results[root["inputs"]["shards"]]["inputs"]["linked"]]
    assert linked["inputs"].keys() == {"graph", "corpus"}
    by_digest = ask(runs, "lineage", record["root"][:10])
    assert by_digest.stdout == text


def test_lineage_page_draws_each_result_once(runs: dict[str, Path], tmp_path: Path) -> None:
    assert ask(runs, "lineage", runs["first"], "--html", tmp_path / "l.html").exit_code == 0
    page = (tmp_path / "l.html").read_text()
    assert page.count("<rect") == 5
    assert page.count("<path d=") == 4


def test_lineage_marks_removed_results(runs: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(runs["workspace"], tmp_path / "less", symlinks=True)
    shutil.rmtree(tmp_path / "less" / runs["link"].relative_to(runs["workspace"].resolve()))
    less = {"workspace": tmp_path / "less"}
    assert "(no longer in the store)" in ask(less, "lineage", runs["other-text"]).stdout
    assert ask(less, "lineage", runs["other-text"], "--html", tmp_path / "l.html").exit_code == 0
    found = differences(less, runs["first"], runs["other-text"])
    assert found["input"].keys() == {"shards.linked"}


def differences(runs: dict[str, Path], first: Path, second: Path) -> dict[str, dict[str, Any]]:
    """Kind → where → both values."""
    found: dict[str, dict[str, Any]] = {}
    for line in ask(runs, "runs", "diff", first, second, "--json").stdout.splitlines():
        record = json.loads(line)
        found.setdefault(record["kind"], {})[record["where"]] = (record["first"], record["second"])
    return found


def test_runs_diff_lists_changed_settings_and_metrics(runs: dict[str, Path]) -> None:
    found = differences(runs, runs["first"], runs["longer"])
    assert found["settings"] == {"pretrain.steps": (8, 9)}
    assert found.keys() == {"settings", "figures"}
    assert "pretrain.final_held_out_loss" in found["figures"]
    printed = ask(runs, "runs", "diff", runs["first"], runs["longer"]).stdout
    assert "settings\n  pretrain.steps" in printed
    assert ask(runs, "runs", "diff", runs["first"], runs["first"]).stdout == "they are the same result\n"


def test_runs_diff_finds_a_changed_file_behind_the_inputs(runs: dict[str, Path]) -> None:
    found = differences(runs, runs["first"], runs["other-text"])
    assert found["files"].keys() == {"corpus.0.txt"}
    assert "settings" not in found
    assert "pretrain.final_held_out_loss" in found["figures"]


@pytest.mark.parametrize(("name", "why"), [("feedfeed", "no such folder"), ("a", "at least 4 characters")])
def test_lineage_of_an_unknown_result_is_reported(runs: dict[str, Path], name: str, why: str) -> None:
    ended = ask(runs, "lineage", name)
    assert ended.exit_code != 0
    assert why in str(ended.exception)
