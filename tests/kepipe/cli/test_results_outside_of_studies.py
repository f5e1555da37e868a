"""`kepipe results` for stages outside of studies: an evaluation of two models, a fine-tuned model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import kepipe
from kepipe.cli import app
from kepipe.stages.champion import evaluate_pair
from kepipe.tracking.delivery import deliver_pending
from kepipe.tracking.store import connect
from tests.support.own_data import write_project

PIPELINE = """
name: letters
stages:
  finetune:
    task: classification
    base: {layers: 1, hidden: 32, heads: 2}
    tokenizer: minilm
    data: {train: train.jsonl, dev: train.jsonl, test: train.jsonl}
    epochs: 1
    length: 16
"""
STUDY = """
study:
  measure: {finetune: test/accuracy}
  seeds: 2
  arms: {slow: {}, fast: {finetune: {learning_rate: 1.0e-2}}}
"""


@pytest.fixture(autouse=True)
def own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow sets these to the store that was opened last."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("measured")
    lines = (json.dumps({"text": f"{word} it", "label": word}) for word in ("good", "bad") * 6)
    (folder / "train.jsonl").write_text("\n".join(lines))
    (folder / "letters.yaml").write_text(PIPELINE)
    (folder / "compared.yaml").write_text(PIPELINE.replace("letters", "compared") + STUDY)
    files = [folder / "letters.yaml", folder / "compared.yaml", write_project(folder / "project", "en")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEPIPE_TRACKING", "off")  # delivered where it is asked for
        for file in files:
            kepipe.run(file, workspace=folder / "ws", progress=False)
    return folder / "ws"


def results(*words: str | Path) -> str:
    printed = CliRunner().invoke(app, ["results", *map(str, words)])
    assert printed.exit_code == 0, printed.output
    return printed.stdout


def cells(page: str, section: str) -> list[list[str]]:
    """The rows of the table of a section, without head."""
    (text,) = (each for each in page.split("\n## ")[1:] if each.startswith(f"{section}\n"))
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def test_scores_of_stages_are_shown_with_the_costs_of_their_models(workspace: Path, tmp_path: Path) -> None:
    page = results("--workspace", workspace)
    assert "1 study, 0 with a gain; 2 stages measured outside of studies." in page
    stored = json.loads((workspace / "letters" / "finetune" / "scores.json").read_text())
    accuracy = stored["arms"]["model"]["test"]["accuracy"]
    tuned = {row[3]: row for row in cells(page, "letters")}
    stage, model, split, _, value, _, cases, seconds, memory, parameters = tuned["accuracy"]
    assert (stage, model, split, value) == ("finetune", "model", "test", f"{accuracy['value']:.3f}")
    assert int(cases) == accuracy["cases"]
    assert float(seconds) >= 0
    assert int(memory.replace(",", "")) > 50
    assert int(parameters.replace(",", "")) > 30_522 * 32
    evaluated = cells(page, "own-en")
    assert [*dict.fromkeys(row[1] for row in evaluated)] == ["pretrain", "control", "pretrain − control"]
    assert all(row[0] == "evaluate" for row in evaluated)
    first = next(row for row in evaluated if row[1] == "control")
    assert int(first[-1].replace(",", "")) > 500 * 32  # of the model that was evaluated
    assert next(row[-1] for row in evaluated if row[1] == "pretrain − control") == ""
    html = tmp_path / "results.html"
    results("--workspace", workspace, "--html", html)
    assert "pretrain − control" in html.read_text()


def test_arms_of_a_study_are_not_shown_again(workspace: Path) -> None:
    page = results("--workspace", workspace)
    assert "## compared\n" in page
    assert "compared, outside of the study" not in page
    assert page.count("\n## ") == 3


def test_scores_from_files_and_mlflow_equal_those_of_the_workspace(workspace: Path, tmp_path: Path) -> None:
    here = results("--workspace", workspace).split("```", 2)[2]
    results("--workspace", workspace, "--json", tmp_path / "all.json")
    assert results("--from", tmp_path / "all.json").split("```", 2)[2] == here
    deliver_pending(workspace.resolve(), connect(workspace.resolve()), evaluate_pair)
    assert results("--workspace", workspace, "--mlflow").split("```", 2)[2] == here


def test_a_file_of_scores_and_a_benchmarks_table_are_sections(workspace: Path, tmp_path: Path) -> None:
    table = {
        "benchmark": "Speed",
        "command": "python -m speed",
        "head": ["model", "a|b"],
        "rows": [["x", 1.5]],
    }
    (tmp_path / "speed.json").write_text(json.dumps([table]))
    scores = workspace / "letters" / "finetune" / "scores.json"
    page = results("--from", scores, "--from", tmp_path / "speed.json")
    assert "1 stage measured outside of studies; 1 benchmark." in page
    assert next(row[3] for row in cells(page, "scores")) == "accuracy"
    assert "## Speed\n\n```\npython -m speed\n```\n\n| model | a\\|b |\n| --- | ---: |\n| x | 1.5 |" in page
    results("--from", tmp_path / "speed.json", "--json", tmp_path / "again.json")
    assert json.loads((tmp_path / "again.json").read_text()) == [table | {"rows": [["x", "1.5"]]}]
    (tmp_path / "speed.json").write_text(json.dumps([table | {"rows": [["x"]]}]))
    failed = CliRunner().invoke(app, ["results", "--from", str(tmp_path / "speed.json")])
    assert "a row is not as long as the head" in str(failed.exception)
