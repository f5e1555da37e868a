"""The page about extending kepipe: its files are written, its rows added, and a pipeline trains and evaluates."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from kepipe.config import merge
from kepipe.data.batch import Batch
from kepipe.models.base import Base, build
from kepipe.objectives import table
from kg.store import open_graph
from kg.writer import SPLITS
from tests.support.rows import TOKENIZER, rows
from tests.support.rows import VOCABULARY as ROWS_VOCABULARY

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
BASE = {"family": "bert", "layers": 1, "hidden": 32, "heads": 2}
VOCABULARY = 1000
LINES = 40
"""Statements of an example, imports and docstrings aside, take no more."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def placed(language: str) -> list[tuple[str, str]]:
    """Blocks that name their file in the first line: path, content."""
    return [
        (first.removeprefix("# "), rest)
        for first, _, rest in (block.partition("\n") for block in blocks(language))
    ]


def patch(text: str, diff: str) -> str:
    """The text with a diff applied; each hunk's context has to be in it once."""
    for hunk in diff.split("@@\n"):
        lines = hunk.splitlines()
        before, after = (
            "".join(line[1:] + "\n" for line in lines if line[0] in signs) for signs in (" -", " +")
        )
        assert text.count(before) == 1, hunk
        text = text.replace(before, after)
    return text


def code_lines(source: str) -> int:
    tree = ast.parse(source)
    dropped: set[int] = set()
    for node in ast.walk(tree):
        documented = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if documented or isinstance(node, ast.Import | ast.ImportFrom):
            assert node.end_lineno is not None
            dropped.update(range(node.lineno, node.end_lineno + 1))
    return sum(bool(line.strip()) for at, line in enumerate(source.splitlines(), 1) if at not in dropped)


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with all examples."""
    root: Path = tmp_path_factory.mktemp("extended")
    for package in ("kepipe", "kg"):
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    for path, source in placed("python"):
        assert not (root / path).exists(), path
        (root / path).write_text(source, encoding="utf-8")
    for path, diff in placed("diff"):
        (root / path).write_text(patch((root / path).read_text(encoding="utf-8"), diff), encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def workspace(extended: Path) -> Path:
    """The results of the page's stages on the example's text."""
    project = extended / "project"
    shutil.copytree(ROOT / "docs" / "example", project)
    for name, examples in zip(("grades", "counting"), blocks("json"), strict=True):
        (project / f"{name}.jsonl").write_text(12 * examples, encoding="utf-8")
    pipeline: dict[str, Any] = {
        "name": "extended",
        "graph": {"source": "native", "path": "."},
        "corpus": {"source": "folder", "path": "texts", "held_out": 0.3},
        "stages": {
            "link": {"spacy_model": None},
            "shards": {"tokenizer": {"size": VOCABULARY}},
            "pretrain": {"base": BASE, "length": 64, "batch_tokens": 512, "log_every": 1},
        },
    }
    for block in sorted(blocks("yaml"), key=lambda block: "evaluate" in block):
        pipeline = dict(merge(pipeline, yaml.safe_load(block)))
    pipeline["stages"]["report"] = {}
    (project / "pipeline.yaml").write_text(yaml.safe_dump(pipeline, sort_keys=False), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "kepipe",
        "run",
        "pipeline.yaml",
        "--workspace",
        "workspace",
        "--log-json",
    ]
    quiet = {"PYTHONPATH": str(extended), "KEPIPE_TRACKING": "off", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=project, env=os.environ | quiet, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
    (project / "log.jsonl").write_text(done.stdout, encoding="utf-8")
    return project / "workspace" / "extended"


def logged(workspace: Path, stage: str) -> dict[str, float]:
    """The last value of each metric of a stage."""
    events = map(json.loads, (workspace.parents[1] / "log.jsonl").read_text(encoding="utf-8").splitlines())
    values: dict[str, float] = {}
    for event in events:
        if event.get("stage") == stage and event["event"] == "Metrics":
            values |= event["values"]
    return values


def scores(workspace: Path) -> Any:
    return json.loads((workspace / "evaluate" / "scores.json").read_text(encoding="utf-8"))["arms"]


def test_examples_are_short() -> None:
    long = {path: lines for path, source in placed("python") if (lines := code_lines(source)) > LINES}
    assert long == {}


def test_extension_objective_trains(workspace: Path) -> None:
    config = json.loads((workspace / "pretrain" / "kepipe.json").read_text())["config"]
    assert config["objective"]["name"] == "near-names"
    assert logged(workspace, "pretrain")["final_held_out_loss"] > 0


def test_extension_knowledge_method_trains(workspace: Path) -> None:
    values = logged(workspace, "described")
    assert values["loss_description"] > 0
    assert values["loss_mlm"] > 0


def test_extension_loss_term_shares_the_forward_pass(extended: Path) -> None:
    spec = importlib.util.spec_from_file_location(
        "descriptions", extended / "kepipe/knowledge/descriptions.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    clean = rows()
    entities = np.where(clean.units["entity"] == 1, 0, -1)
    named = replace(clean, entities=entities, entity_ids=["io"])
    knowledge = module.DescribedEntities({"io": np.array([30, 31])}, 0.5)
    described = knowledge.objective(table.build(table.read("mlm"), TOKENIZER))
    model = build(Base.model_validate(BASE), ROWS_VOCABULARY, 0)
    forwards: list[Batch] = []
    model.register_forward_hook(lambda _model, given, _hidden: forwards.append(given[0]))
    batch = described.collate(named, np.random.default_rng(0), 0.0)
    losses = described.criterion(model, batch)
    assert set(losses) == {"mlm", "description"}
    assert described.criterion.counts(batch)["description"] == 2 * len(clean.tokens)
    assert len(forwards) == 1


def test_extension_probe_is_scored_and_on_the_page(workspace: Path) -> None:
    measured = scores(workspace)
    assert {arm for arm in measured if "type_cloze" in measured[arm]} == {"pretrain", "described"}
    assert "Types of entities" in (workspace / "report" / "report.html").read_text(encoding="utf-8")


def test_extension_bigram_model_is_scored(workspace: Path) -> None:
    measured = scores(workspace)["bigrams"]
    assert list(measured) == ["perplexity"]
    assert measured["perplexity"]["token_perplexity"]["value"] < VOCABULARY


def test_extension_bigram_model_answers_few_shot(extended: Path, workspace: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "kepipe",
        "few-shot",
        str(workspace / "bigrams"),
        "task.yaml",
        "--shots",
        "0",
    ]
    done = subprocess.run(
        command,
        cwd=extended / "project",
        env=os.environ | {"PYTHONPATH": str(extended)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "95% interval" in done.stdout


def test_extension_task_is_scored(workspace: Path) -> None:
    found = json.loads((workspace / "finetune" / "scores.json").read_text())["arms"]["model"]["dev"]
    assert set(found) == {"exact", "near"}


def test_extension_task_with_numbers_predicts(extended: Path, workspace: Path) -> None:
    """It is learned, and a text gets the answer that it was trained on."""
    folder = workspace / "counting"
    assert json.loads((folder / "scores.json").read_text())["arms"]["model"]["dev"]["right"]["value"] == 1
    asked = [json.loads(line) for line in blocks("json")[1].splitlines()]
    command = [sys.executable, "-m", "kepipe", "predict", str(folder), "--json"]
    done = subprocess.run(
        [*command, *(example["text"] for example in asked)],
        cwd=extended,
        env=os.environ | {"PYTHONPATH": str(extended), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [int(record["predicted"]) for record in records] == [example["names"] for example in asked]


MOONS = "Io -[orbits]-> Jupiter\nEuropa -[orbits]-> Jupiter\nPhobos orbits Mars\n"
LETTERS = """From a@example.org Sun Nov 29 10:00:00 2026
Subject: Io

Io orbits Jupiter.

From b@example.org Sun Nov 29 11:00:00 2026
Subject: Europa

Europa has an ocean.

"""


def test_extension_graph_and_text_formats_are_read(extended: Path, tmp_path: Path) -> None:
    """A graph and a text of the page's formats: their contents, and the error of a bad line."""
    (tmp_path / "moons.arrows").write_text(MOONS)
    (tmp_path / "letters.mbox").write_text(LETTERS)
    pipeline = {
        "name": "moons",
        "graph": {"source": "arrows", "path": "moons.arrows", "valid": 0, "test": 0},
        "corpus": {"source": "mailbox", "path": "letters.mbox"},
    }
    (tmp_path / "moons.yaml").write_text(yaml.safe_dump(pipeline | {"stages": {}}))
    quiet = {"PYTHONPATH": str(extended), "KEPIPE_TRACKING": "off"}
    run = [sys.executable, "-m", "kepipe", "run", "moons.yaml"]
    done = subprocess.run(run, cwd=tmp_path, env=os.environ | quiet, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "moons.arrows:3" in done.stdout
    assert "found 'Phobos orbits Mars'" in done.stdout
    made = tmp_path / "workspace" / "moons"
    graph = open_graph(made / "graph")
    assert sorted(graph.labels) == ["Europa", "Io", "Jupiter"]
    assert [len(graph.triples(split)) for split in SPLITS] == [2, 0, 0]
    documents = [json.loads(line) for line in (made / "corpus" / "documents.jsonl").read_text().splitlines()]
    assert [(document["title"], document["text"].strip()) for document in documents] == [
        ("Io", "Io orbits Jupiter."),
        ("Europa", "Europa has an ocean."),
    ]
