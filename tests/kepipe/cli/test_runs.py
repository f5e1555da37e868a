"""Lineage and differences of results, by real runs of a small pipeline."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

import kepipe
from kepipe.cli import app
from kepipe.flow.lineage import StageResult
from kepipe.stages.champion import evaluate_pair
from kepipe.tracking.delivery import deliver_pending
from kepipe.tracking.store import connect
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
        trained = (made["first"], made["longer"], result.folders["pretrain"])
        of_runs = [Path(StageResult.open(each).run) for each in trained]
        ids = dict(zip(("first run", "longer run", "other run"), of_runs, strict=True))
        yield {**made, **ids, "other-text": result.folders["pretrain"], "link": result.folders["link"]}


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


def test_runs_are_listed_and_compared_by_stage(runs: dict[str, Path]) -> None:
    ids = [str(runs[name]) for name in ("first run", "longer run", "other run")]
    listed = [line.split() for line in ask(runs, "runs", "list").stdout.splitlines()]
    assert [(line[0], line[-1]) for line in listed] == [(each, "own-en") for each in ids]
    printed = ask(runs, "runs", "diff", *ids[:2]).stdout.splitlines()
    assert printed[0] == "pretrain"  # graph, corpus, link and shards are the same
    assert re.fullmatch(r"  settings  steps +8  →  9", printed[1])
    assert any(line.startswith("  figures   final_held_out_loss ") for line in printed)
    assert {line[:2] for line in printed[1:]} == {"  "}
    same = ask(runs, "runs", "diff", ids[0], f"own-en, {ids[0]}").stdout
    assert same == "all stages have the same settings, inputs, files, code and metrics\n"


def test_runs_diff_names_the_stage_in_which_a_file_changed(runs: dict[str, Path]) -> None:
    first, other = (str(runs[name]) for name in ("first run", "other run"))
    lines = [
        json.loads(line) for line in ask(runs, "runs", "diff", first, other, "--json").stdout.splitlines()
    ]
    assert [(each["stage"], each["where"]) for each in lines if each["kind"] == "files"] == [
        ("corpus", "corpus.0.txt")
    ]
    assert "input" not in {each["kind"] for each in lines}  # all inputs are stages of the runs
    assert {each["stage"] for each in lines if each["kind"] == "figures"} >= {"pretrain"}


def test_runs_diff_takes_folders_of_pipelines_and_ids_of_mlflow(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    workspace = runs["workspace"]
    latest = ask(runs, "runs", "diff", str(runs["longer run"]), workspace / "own-en").stdout
    assert "  settings  steps" in latest
    assert "  files     0.txt" in latest
    shutil.copytree(workspace, tmp_path / "copy", symlinks=True)
    (tmp_path / "copy" / "own-en" / "shards").unlink()
    elsewhere = ask(runs, "runs", "diff", workspace / "own-en", tmp_path / "copy" / "own-en").stdout
    assert re.fullmatch(r"shards\n  stage     +[0-9a-f]{12}  →  –\n", elsewhere)
    copy = tmp_path / "copy"
    store = connect(copy)
    deliver_pending(copy, store, evaluate_pair)
    (experiment,) = (each for each in store.client.search_experiments() if each.name == "own-en")
    found = store.client.search_runs([experiment.experiment_id], "tags.`kepipe.stage` = '(pipeline)'")
    tracked = {run.data.tags["kepipe.run"]: run for run in found}
    ids = [tracked[str(runs[name])].info.run_id for name in ("first run", "longer run")]
    by_mlflow = ask({"workspace": copy}, "runs", "diff", *ids).stdout
    assert by_mlflow == ask(runs, "runs", "diff", str(runs["first run"]), str(runs["longer run"])).stdout
    unknown = ask({"workspace": copy}, "runs", "diff", "0" * 32, ids[0])
    assert "not found in MLflow" in str(unknown.exception)


def test_a_run_is_not_compared_with_a_result(runs: dict[str, Path]) -> None:
    ended = ask(runs, "runs", "diff", str(runs["first run"]), runs["first"])
    assert "one is a run, the other a result" in str(ended.exception)


@pytest.mark.parametrize(("name", "why"), [("feedfeed", "no such folder"), ("a", "at least 4 characters")])
def test_lineage_of_an_unknown_result_is_reported(runs: dict[str, Path], name: str, why: str) -> None:
    ended = ask(runs, "lineage", name)
    assert ended.exit_code != 0
    assert why in str(ended.exception)
