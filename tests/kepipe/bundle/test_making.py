"""A bundle unpacks anywhere and runs without network, with the same results as here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from huggingface_hub import constants
from safetensors.torch import load_file
from typer.testing import CliRunner

import kepipe
from kepipe.bundle.inputs import collect_inputs
from kepipe.bundle.making import make_bundle
from kepipe.bundle.models import GET_MISSING, INCOMPLETE, NOT_CACHED, RegisteredModels, hub_models
from kepipe.bundle.wheels import needed
from kepipe.cli import app
from kepipe.flow.artifact import read_manifest
from kepipe.flow.plan import Flow
from kepipe.tracking.store import connect
from tests.support.kepipe_run import ROOT
from tests.support.serving import register
from tests.support.tasks import base_model

PIPELINE = """\
name: packed
graph: {source: native, path: ../solar}
corpus: {source: folder, path: [texts, ../solar/moons.jsonl], held_out: 0.4}
stages:
  link: {spacy_model: null, workers: 1}
  shards: {tokenizer: {from: minilm}}
"""
NO_NETWORK = """\
import socket, pathlib
pathlib.Path({marker!r}).touch()
connect = socket.socket.connect
def refuse(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6):
        raise OSError("there is no network")
    return connect(self, address)
socket.socket.connect = refuse
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose graph and some texts are outside of it."""
    example, folder, beside = ROOT / "docs" / "example", tmp_path / "project", tmp_path / "solar"
    shutil.copytree(example / "texts", folder / "texts")
    beside.mkdir()
    (folder / "texts" / "moons.jsonl").rename(beside / "moons.jsonl")
    for name in ("entities.jsonl", "relations.tsv", "triples.tsv"):
        shutil.copy(example / name, beside)
    (folder / "workspace").mkdir()
    (folder / "workspace" / "large").write_text("is not packed")
    (folder / "packed.yaml").write_text(PIPELINE)
    return folder


def offline_python(folder: Path) -> Path:
    """An interpreter with the packages that are installed here, for which there is no network."""
    (folder / "blocked").mkdir()
    (folder / "blocked" / "sitecustomize.py").write_text(
        NO_NETWORK.format(marker=str(folder / "was-blocked"))
    )
    script = folder / "python"
    script.write_text(
        f'#!/bin/sh\nPYTHONPATH="${{PYTHONPATH:+$PYTHONPATH:}}{folder}/blocked" exec "{sys.executable}" "$@"\n'
    )
    script.chmod(0o755)
    return script


def digests(workspace: Path) -> dict[str, str]:
    return {link.name: read_manifest(link)["digest"] for link in sorted((workspace / "packed").iterdir())}


def test_bundle_runs_without_network_with_the_same_results(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEPIPE_TRACKING", "off")
    archive = tmp_path / "packed.tar.gz"
    result = CliRunner().invoke(
        app, ["bundle", str(project / "packed.yaml"), str(archive), "--set", "seed=3"]
    )
    assert result.exit_code == 0, result.output
    assert "17 files of the pipeline, 1 wheels" in result.output
    assert "left out: wheels of" in result.output
    kepipe.run(project / "packed.yaml", set={"seed": 3}, workspace=tmp_path / "here", progress=False)
    project.rename(tmp_path / "gone")
    (tmp_path / "solar").rename(tmp_path / "gone too")

    with tarfile.open(archive) as packed:
        names = packed.getnames()
        packed.extractall(tmp_path / "elsewhere", filter="data")
    folder = tmp_path / "elsewhere" / "packed"
    assert not [name for name in names if "large" in name]
    assert json.loads((folder / "bundle.json").read_text())["left_out"]
    environment = {**os.environ, "PYTHON": str(offline_python(tmp_path)), "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)
    command = ["./run", "--log-json"]
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "was-blocked").exists()
    assert (folder / "packages" / "kepipe" / "shipped" / "example" / "pipeline.yaml").is_file()
    assert digests(folder / "workspace") == digests(tmp_path / "here")

    (folder / "pipeline" / "texts" / "io.txt").write_text("")
    (folder / "pipeline" / "texts" / "mars.txt").write_text("changed")
    shutil.rmtree(folder / "packages")
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode
    assert "mars.txt" in ended.stdout + ended.stderr


def test_bundle_includes_wheels_of_a_folder_with_hashes(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "wheels"
    folder.mkdir()
    version = needed()["joblib"]
    for name in (f"joblib-{version}-py3-none-any.whl", f"joblib-{version}-cp27-cp27m-win32.whl"):
        (folder / name).write_bytes(name.encode())
    (folder / "joblib-0.0.1-py3-none-any.whl").touch()
    made = make_bundle(project / "packed.yaml", tmp_path / "packed.tar", wheels=folder)
    assert made.wheels == 2
    again = tmp_path / "again.tar"
    make_bundle(project / "packed.yaml", again, wheels=folder)
    assert again.read_bytes() == (tmp_path / "packed.tar").read_bytes()
    with tarfile.open(again) as packed:
        names = {Path(name).name for name in packed.getnames()}
        lines = packed.extractfile("packed/requirements.txt").read().decode()  # type: ignore[union-attr]
        yaml = packed.extractfile("packed/pipeline/pipeline.yaml").read().decode()  # type: ignore[union-attr]
    assert {name for name in names if name.startswith("joblib")} == {f"joblib-{version}-py3-none-any.whl"}
    assert f"joblib=={version} \\\n    --hash=sha256:" in lines
    assert "../solar" not in yaml


SET_BY_MLFLOW = "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"
STARTED = """name: started
graph: {source: native, path: .}
corpus: {source: folder, path: texts, held_out: 0.4}
stages:
  link: {spacy_model: null, workers: 1}
  shards: {tokenizer: {from: ./words}}
  of-hub: {use: pretrain, base: {from: made/tiny}, length: 32, steps: 0}
  of-registry:
    use: pretrain
    base: {from: "models:/tiny@champion", family: bert, layers: 1, hidden: 32, heads: 2, dropout: 0.0}
    length: 32
    steps: 0
  champion: {name: tiny, at: "1"}
  of-champion: {use: pretrain, inputs: {start: champion}, length: 32, steps: 0}
  latest: {like: champion, at: champion}
  of-latest: {like: of-champion, inputs: {start: latest}}
"""
STUDY = """\
study:
  measure: {of-latest: final_held_out_loss}
  arms:
    champion: {of-latest: {steps: 0}}
    registered: {of-latest: {inputs: {start: null}, base: {from: "models:/tiny@champion", dropout: 0.1}}}
    first: {latest: {at: "1"}}
"""


def test_bundle_includes_models_of_hub_and_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPIPE_TRACKING", "off")
    for name in SET_BY_MLFLOW:
        monkeypatch.delenv(name, raising=False)
    shutil.copytree(ROOT / "docs" / "example", project := tmp_path / "project")
    (project / "started.yaml").write_text(STARTED)
    words = base_model(tmp_path / "registered", layers=1).folder
    shutil.copytree(words, project / "words", ignore=shutil.ignore_patterns("config.json", "model*"))
    cache = tmp_path / "hub" / "models--made--tiny"
    base_model(cache / "snapshots" / ("0" * 40))
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("0" * 40)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    register(connect(tmp_path / "workspace"), "tiny", words, 0.5)
    made = make_bundle(project / "started.yaml", tmp_path / "started.tar", workspace=tmp_path / "workspace")
    assert len(made.left_out) == 1, "the wheels alone"
    study = project / "studied.yaml"
    study.write_text(STARTED + STUDY)
    registry = RegisteredModels(tmp_path / "workspace", tmp_path)
    inputs = collect_inputs(study, (), registry)
    packed, of_registry = yaml.safe_load(inputs.text), {"from": "./inputs/registry/tiny-champion"}
    assert packed["stages"]["of-registry"]["base"] == {**of_registry, "dropout": 0.0}
    assert packed["study"]["arms"] == {
        "champion": {"of-latest": {"steps": 0}},
        "registered": {"of-latest": {"inputs": {"start": None}, "base": {**of_registry, "dropout": 0.1}}},
        "first": {"latest": {"at": "champion", "base": {"from": "./inputs/registry/tiny-1"}}},
    }
    assert inputs.left_out == []
    for gone in ("project", "hub", "registered", "workspace"):
        (tmp_path / gone).rename(tmp_path / f"no-{gone}")

    with tarfile.open(tmp_path / "started.tar") as packed:
        packed.extractall(tmp_path, filter="data")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for name in SET_BY_MLFLOW:
        monkeypatch.delenv(name, raising=False)
    run = kepipe.run(
        tmp_path / "started" / "pipeline" / "pipeline.yaml", workspace=tmp_path / "elsewhere", progress=False
    )
    folders = {name: folder for name, folder in run.folders.items() if name.startswith("of-")}
    layers = {
        name: json.loads((folder / "config.json").read_text())["encoder_layers"]
        for name, folder in folders.items()
    }
    assert layers == {"of-hub": 2, "of-registry": 1, "of-champion": 1, "of-latest": 1}
    assert (
        load_file(run.folders["of-registry"] / "model.safetensors").keys()
        == load_file(tmp_path / "no-registered" / "model.safetensors").keys()
    )


def test_bundle_reports_what_it_leaves_out(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    stages = """\
  a: {use: pretrain, base: {from: "models:/packed@champion"}, steps: 2}
  b: {use: pretrain, base: {from: made/nowhere}, steps: 2}
"""
    (project / "packed.yaml").write_text(PIPELINE + stages)
    inputs = collect_inputs(project / "packed.yaml", (), RegisteredModels(tmp_path, tmp_path))
    assert [what.partition(":")[0] for what in inputs.left_out] == ["made/nowhere", "models"]
    assert "it is not in the cache" in inputs.left_out[0]
    assert "has no model registry; without it" in inputs.left_out[1]
    assert not (tmp_path / "mlflow.db").exists()


PARTIAL = """\
name: partial
graph: {source: native, path: .}
corpus: {source: folder, path: texts, held_out: 0.4}
stages:
  link: {spacy_model: null, workers: 1}
  shards: {tokenizer: {from: made/words}}
  of-hub: {use: pretrain, base: {from: made/model}, length: 32, steps: 0}
"""
COMPLETE = ["config.json", "model.safetensors", "tokenizer.json"]
INDEX = json.dumps({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}})


def hub_cache(cache: Path, name: str, files: dict[str, str], listed: Sequence[str] = ()) -> Path:
    """Files of a repository in a cache of the hub, and the names that the hub is known to list."""
    repository, commit = cache / f"models--{name.replace('/', '--')}", "0" * 40
    (repository / "snapshots" / commit).mkdir(parents=True)
    for file, text in files.items():
        (repository / "snapshots" / commit / file).write_text(text)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    if listed:
        entries = {file: {"size": 1, "blob_id": "0" * 40} for file in listed}
        (repository / "trees").mkdir()
        (repository / "trees" / f"{commit}.json").write_text(
            json.dumps({"format_version": 1, "files": entries})
        )
    return repository / "snapshots" / commit


@pytest.mark.parametrize(
    ("files", "listed", "missing"),
    [
        (["config.json", "vocab.txt"], [], ["model.safetensors"]),
        (["config.json", "model.safetensors"], [], ["tokenizer.json"]),
        (
            ["model.safetensors.index.json", "model-1.safetensors", "tokenizer.json"],
            [],
            ["config.json", "model-2.safetensors"],
        ),
        (COMPLETE, [], []),
        (COMPLETE, [*COMPLETE, "pytorch_model.bin"], []),
        (COMPLETE, [*COMPLETE, "vocab.json"], ["files that the hub lists"]),
    ],
)
def test_bundle_omits_partially_cached_hub_models(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: list[str],
    listed: list[str],
    missing: list[str],
) -> None:
    shutil.copytree(ROOT / "docs" / "example", project := tmp_path / "project")
    (project / "partial.yaml").write_text(PARTIAL)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    model = hub_cache(tmp_path / "hub", "made/model", dict.fromkeys(files, INDEX), listed)
    (model / "added_tokens.json").symlink_to("gone")
    hub_cache(tmp_path / "hub", "made/words", {"vocab.txt": "[UNK]"})  # a tokenizer needs no weights
    inputs = collect_inputs(project / "partial.yaml", (), RegisteredModels(tmp_path, tmp_path))
    packed = {Path(place).parts[3] for place in inputs.files if "inputs/hub/" in place}
    assert packed == ({"made--words"} if missing else {"made--words", "made--model"})
    assert inputs.left_out == [
        INCOMPLETE.format(name="made/model", files=" and ".join(missing)) + GET_MISSING for _ in missing[:1]
    ]
    (model.parents[1] / "refs" / "main").unlink()
    inputs = collect_inputs(project / "partial.yaml", (), RegisteredModels(tmp_path, tmp_path))
    assert inputs.left_out == [NOT_CACHED.format(name="made/model")]


def test_hub_model_that_no_setting_names_needs_all_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    hub_cache(tmp_path, "made/model", {"config.json": "{}"})
    (model,) = hub_models(["made/model"], Flow("none", 0, "cpu", []))
    assert model.missing == ("model.safetensors", "tokenizer.json")


def test_download_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    flow = Flow("none", 0, "cpu", [])
    hub_cache(tmp_path, "made/model", {"config.json": "{}"})
    invalid, absent, partial = hub_models(["no/such/id", "made/nowhere", "made/model"], flow, download=True)
    assert "Repo id must" in str(invalid.problem)
    for model in (invalid, absent):
        assert str(model.problem).startswith(f"{model.name}: Hugging Face's hub does not give it: ")
    assert str(partial.problem).endswith("lacks model.safetensors and tokenizer.json")
    for model in (invalid, absent, partial):
        assert "--download" not in str(model.problem)
