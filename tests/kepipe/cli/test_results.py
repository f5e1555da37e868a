"""`kepipe results` for a finished study, from the workspace and from MLflow's store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import kepipe
from kepipe.cli import app
from kepipe.stages.champion import evaluate_pair
from kepipe.studies.design import Measure
from kepipe.studies.findings import as_json, find
from kepipe.tracking.delivery import deliver_pending
from kepipe.tracking.store import connect
from tests.support.studies import design_of

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
study:
  measure: {finetune: test/accuracy}
  seeds: 2
  arms: {slow: {}, fast: {finetune: {learning_rate: 1.0e-2}}}
"""

VALUES = {"slow": (0.5, 0.5, 0.52), "fast": (0.6, 0.59, 0.61)}
HALVES = [
    Measure(stage="cite", metric=f"test/{half}accuracy", better="higher")
    for half in ("", "simple/", "complex/")
]


@pytest.fixture(autouse=True)
def own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow sets these to the store that was opened last."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("letters")
    lines = (json.dumps({"text": f"{word} it", "label": word}) for word in ("good", "bad") * 6)
    (folder / "train.jsonl").write_text("\n".join(lines))
    (folder / "letters.yaml").write_text(PIPELINE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEPIPE_TRACKING", "off")  # delivered where it is asked for
        kepipe.run(folder / "letters.yaml", workspace=folder / "ws", progress=False)
    return folder / "ws"


def test_results_page_has_arms_comparisons_and_costs(workspace: Path, tmp_path: Path) -> None:
    out, html = tmp_path / "results.md", tmp_path / "results.html"
    command = ["results", "--workspace", str(workspace), "--out", str(out), "--html", str(html)]
    printed = CliRunner().invoke(app, command)
    assert printed.exit_code == 0, printed.output
    text = out.read_text()
    assert text.startswith(f"# Results\n\n```\nkepipe results --out {out}\n```\n\n1 study, ")
    assert "## letters\n" in text
    assert "finetune/test/accuracy, which decides, higher is better." in text
    (slow,) = (line for line in text.splitlines() if line.startswith("| slow |"))
    *_, seeds, seconds, memory, parameters, _ = slow.split("|")
    assert (int(seeds), float(seconds.replace(",", "")) >= 0) == (2, True)
    assert float(memory.replace(",", "")) > 50
    assert int(parameters.replace(",", "")) > 30_522 * 32
    assert "| fast − slow |" in text
    assert "<h1" in html.read_text()


def test_halves_of_a_test_are_one_table_instead_of_a_section_each(tmp_path: Path) -> None:
    text = _invoke("--from", str(_study_of(tmp_path, *HALVES)))
    assert "cite/test/accuracy, which decides" in text
    assert "cite/test/simple/accuracy" not in text
    assert "| Task | Arm | simple | complex | advantage over slow, complex − simple |" in text
    assert "| cite | fast | 0.600 " in text
    assert "Published: Arora et al. 2020" in text


def test_several_tasks_have_a_table_of_all_arms(tmp_path: Path) -> None:
    sizes = [
        Measure(stage=f"cite-{size}", metric="test/accuracy", better="higher") for size in ("200", "1000")
    ]
    text = _invoke("--from", str(_study_of(tmp_path, *sizes, tasks=("cite-200", "cite-1000"))))
    assert "| Measure | slow | fast |" in text
    for size in ("200", "1000"):
        assert f"| cite-{size}/test/accuracy | 0.507 (0.478 to 0.535) | 0.600 (0.575 to 0.625) |" in text


def _study_of(folder: Path, *measures: Measure, tasks: tuple[str, ...] = ()) -> Path:
    """A file of results with a study whose measures all have `VALUES`."""
    design = design_of(VALUES, *measures)
    study = {
        "reference": "slow",
        "controls": [],
        "seeds": [0, 1, 2],
        "tasks": tasks,
        "findings": [as_json(find(design, measure, VALUES)) for measure in measures],
    }
    file = folder / "study.json"
    file.write_text(json.dumps([{"pipeline": "contextual", "made": 1.0, "costs": {}, "study": study}]))
    return file


def test_results_from_mlflow_equal_those_of_the_workspace(workspace: Path) -> None:
    deliver_pending(workspace.resolve(), connect(workspace.resolve()), evaluate_pair)
    found = [
        CliRunner().invoke(app, ["results", "--workspace", str(workspace), *more]).output
        for more in ((), ("--mlflow",))
    ]
    here, there = ([line for line in text.splitlines() if "fast − slow" in line] for text in found)
    assert here == there != []


def test_results_of_files_equal_those_of_the_workspace(workspace: Path, tmp_path: Path) -> None:
    file, out = tmp_path / "results.json", tmp_path / "results.md"
    assert (
        _invoke("--workspace", str(workspace), "--json", str(file), "--out", str(out)) == f"{file}\n{out}\n"
    )
    there = _invoke("--from", str(file), "--from", str(file))
    assert there.startswith(f"# Results\n\n```\nkepipe results --from {file} --from {file}\n```\n")
    assert there.split("```")[2].strip() == out.read_text().split("```")[2].strip()


def test_of_several_files_the_newest_study_is_shown(workspace: Path, tmp_path: Path) -> None:
    new, old = tmp_path / "new.json", tmp_path / "old.json"
    _invoke("--workspace", str(workspace), "--json", str(new))
    content = json.loads(new.read_text())
    content[0] |= {"made": 1.0, "costs": {}}
    old.write_text(json.dumps([*content, content[0] | {"pipeline": "another"}]))
    for files in ((new, old), (old, new)):
        shown = _invoke(*(word for file in files for word in ("--from", str(file))))
        another, letters = shown.split("## ")[1:]
        assert "| slow | " in another
        assert "| 2 | – | – | – |" in another
        assert "| 2 | – | – | – |" not in letters


def test_an_older_study_is_shown_with_the_present_verdict(workspace: Path, tmp_path: Path) -> None:
    file = tmp_path / "older.json"
    _invoke("--workspace", str(workspace), "--json", str(file))
    content = json.loads(file.read_text())
    study = content[0]["study"]
    assert study["verdict"] in _invoke("--from", str(file))
    study["verdict"] = "A gain is shown."
    (finding,) = study["findings"]
    finding["arms"]["fast"]["by_seed"], finding["arms"]["slow"]["by_seed"] = [0.7, 0.6], [0.5, 0.5]
    file.write_text(json.dumps(content))
    page = _invoke("--from", str(file))
    assert "1 study, 0 with a gain." in page
    assert "whether fast does better than slow on finetune/test/accuracy is open." in page


@pytest.mark.parametrize(
    "content",
    ["{}", "[1]", '[{"pipeline": "x"}]', '[{"pipeline": "x", "made": 1, "costs": {}, "study": {}}]'],
)
def test_another_json_file_is_refused_by_name(content: str, tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    file.write_text(content)
    failed = CliRunner().invoke(app, ["results", "--from", str(file)])
    assert isinstance(failed.exception, ValueError)
    assert str(file) in str(failed.exception)


def _invoke(*words: str) -> str:
    printed = CliRunner().invoke(app, ["results", *words])
    assert printed.exit_code == 0, printed.output
    return printed.stdout


def test_workspace_without_studies_is_reported(tmp_path: Path) -> None:
    failed = CliRunner().invoke(app, ["results", "--workspace", str(tmp_path)])
    assert isinstance(failed.exception, ValueError)
    assert "no finished study and no scores" in str(failed.exception)
