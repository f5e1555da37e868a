"""The page about Python: its snippets run, one after the other, on a small project; and its statements hold."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import kepipe
from kepipe.config import ConfigError
from kepipe.stages.champion import evaluate_pair
from kepipe.tracking.delivery import deliver_pending
from kepipe.tracking.store import connect
from tests.support.own_data import TINY_BASE, write_project
from tests.support.tasks import write_task

PAGE = (Path(__file__).parents[2] / "docs" / "python.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def lay_out(folder: Path) -> None:
    """The projects of the page, as small as possible: own data, reviews, and a causal model."""
    file = write_project(folder / "my-project", "en")
    own = yaml.safe_load(file.read_text(encoding="utf-8"))
    sources = {name: own[name] for name in ("graph", "corpus")}
    plain = {**own["stages"]["pretrain"], "knowledge": None}
    tune = {
        "task": "classification",
        "data": write_task(folder / "reviews", "classification", 40, 10),
        "epochs": 1,
        "length": 32,
        "inputs": {"start": "pretrain"},
    }
    gpt2 = {"base": {**TINY_BASE, "family": "gpt2"}, "objective": "causal-lm", "format": "packed"}
    shards = {"tokenizer": {"kind": "bpe", "size": 400}}
    stages = {
        "reviews": {**own["stages"], "pretrain": plain, "finetune": tune},
        "writer": {**own["stages"], "shards": shards, "pretrain": plain | gpt2},
    }
    for name, of_pipeline in stages.items():
        used = {
            stage: of_pipeline[stage]
            for stage in ("link", "shards", "pretrain", "finetune")
            if stage in of_pipeline
        }
        text = yaml.safe_dump({"name": name, **sources, "stages": used}, sort_keys=False)
        file.with_name(f"{name}.yaml").write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Any], str]]:
    """The variables of the snippets, and their output."""
    folder = tmp_path_factory.mktemp("python")
    lay_out(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("KEPIPE_TRACKING", "off")
        for variable in ("KEPIPE_WORKSPACE", "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
            patch.delenv(variable, raising=False)
        for name in ("reviews", "writer"):
            kepipe.run(f"my-project/{name}.yaml", progress=False)
        kepipe.run("my-project/pipeline.yaml", set=["stages.pretrain.steps=20"], progress=False)
        workspace = Path("workspace").resolve()
        deliver_pending(workspace, connect(workspace), evaluate_pair)
        names: dict[str, Any] = {}
        printed: list[str] = []
        names["print"] = lambda *values: printed.append(" ".join(map(str, values)))
        for snippet in SNIPPETS:
            exec(compile(snippet, "docs/python.md", "exec"), names)
        yield names, "\n".join(printed)


def test_run_result_has_folders_and_metrics(shown: tuple[dict[str, Any], str]) -> None:
    result: kepipe.RunResult = shown[0]["result"]
    assert list(result.folders)[:4] == ["graph", "corpus", "link", "shards"]
    assert result.folders["pretrain"] == (Path("workspace") / "own-en" / "pretrain").resolve()
    scores = json.loads((result.folders["evaluate"] / "scores.json").read_text())
    value = scores["arms"]["pretrain"]["mlm_loss"]["tokens"]["value"]
    assert result.figure("evaluate", "pretrain/mlm_loss/tokens") == value
    assert shown[0]["scores"].arms["pretrain"]["mlm_loss"]["tokens"].value == value
    logged = (result.folders["pretrain"] / "record" / "metrics.jsonl").read_text()
    final = next(json.loads(line) for line in logged.splitlines() if "final_held_out_loss" in line)
    assert result.figure("pretrain", "final_held_out_loss") == final["final_held_out_loss"]
    with pytest.raises(ValueError, match=r"no single figure `pretrain/mlm_loss/tokes`"):
        result.figure("evaluate", "pretrain/mlm_loss/tokes")


def test_notebook_shows_the_report_in_a_sandboxed_frame(shown: tuple[dict[str, Any], str]) -> None:
    result: kepipe.RunResult = shown[0]["result"]
    frame = result._repr_html_()
    (attributes,) = re.findall(r"^<iframe ([^>]*)></iframe>$", frame)
    assert attributes.startswith('sandbox=""')
    assert "allow" not in attributes.partition("srcdoc=")[0]
    (page,) = re.findall(r'srcdoc="([^"]*)"', attributes)
    assert result.report is not None
    assert html.unescape(page) == result.report.read_text(encoding="utf-8")


def test_result_without_a_report_is_an_escaped_table(tmp_path: Path) -> None:
    from kepipe.flow.artifact import Artifact

    made = {"<script>": Artifact(tmp_path, "digest")}
    shown = kepipe.RunResult("example", "run-1", tmp_path, made)._repr_html_()
    assert "&lt;script&gt;" in shown
    assert str(tmp_path) in shown
    assert "<script>" not in shown


def test_loaded_models_answer(shown: tuple[dict[str, Any], str]) -> None:
    names, printed = shown
    assert "did you mean `steps`?" in printed
    answers = re.findall(r"^([01]) (0\.\d+)$", printed, re.MULTILINE)
    assert len(answers) == 2
    assert "Calow calow " in printed
    assert names["writer"].generate("The town of", limit=5, beams=2)[0].startswith("The town of")
    drawn = [
        names["writer"].generate("The town of", limit=8, temperature=1.0, seed=seed) for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    (filled,) = names["champion"].predict("The town of [MASK] lies on the river [MASK].")
    assert len(filled["predicted"]) == len(filled["masks"]) == 2
    assert filled["predicted"][1] == filled["masks"][1][0]["token"]
    assert [len(fillings) for fillings in filled["masks"]] == [5, 5]


def test_unsupported_method_error_lists_the_supported_ones(shown: tuple[dict[str, Any], str]) -> None:
    names, _ = shown
    assert names["linker"].abilities == ("link",)
    assert names["champion"].abilities == names["reviews"].abilities == ("predict",)
    with pytest.raises(ValueError, match="does not generate; it supports predict"):
        names["champion"].generate("The")
    with pytest.raises(ValueError, match="does not predict; it supports link"):
        names["linker"].predict("The")
    with pytest.raises(ConfigError, match=r"none not found \(`kepipe models list` shows what is registered"):
        kepipe.load("models:/none@champion")
