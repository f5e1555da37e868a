"""Every family outside the configurable transformer end to end on one text: trained or fitted, evaluated or
tuned, registered, served by MLflow, and exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import pytest
import yaml
from typer.testing import CliRunner

import kepipe
from kepipe.cli import app
from kepipe.models.any_base import OTHERS
from kepipe.stages.champion import evaluate_pair
from kepipe.tracking.delivery import deliver_pending
from kepipe.tracking.store import connect
from tests.support.kepipe_run import EXAMPLE
from tests.support.pages import blocks
from tests.support.tasks import write_task

BRIEF = {"length": 48, "steps": 2, "batch_tokens": 256, "eval_tokens": 256}
NEXT = {"inputs": {"shards": "shards"}, "objective": "causal-lm", "format": "packed", **BRIEF}
MASKED = {"inputs": {"shards": "shards"}, "objective": {"name": "mlm", "next_sentence": False}, **BRIEF}
VECTORS: dict[str, Any] = {"inputs": {"shards": "words"}}
MODELS: dict[str, dict[str, Any]] = {
    "ngram": {"inputs": {"shards": "shards"}, "base": {"order": 3}},
    "nnlm": {**NEXT, "base": {"order": 3, "embedding": 16, "hidden": 16}},
    "lstm": {**NEXT, "base": {"embedding": 16, "hidden": 16}},
    "cnn": {**MASKED, "base": {"embedding": 16, "hidden": 30}},
    "transformer-xl": {
        **NEXT,
        "streams": True,
        "base": {"layers": 1, "hidden": 32, "heads": 2, "memory": 48},
    },
    "xlnet": {**NEXT, "objective": "permutation-lm", "base": {"layers": 1, "hidden": 32, "heads": 2}},
    "elmo": {
        **NEXT,
        "inputs": {"shards": "characters"},
        "objective": "bidirectional-lm",
        "streams": True,
        "base": {"size": "tiny"},
    },
    "word2vec": {**VECTORS, "base": {"min_count": 1, "hidden": 16}},
    "fasttext": {**VECTORS, "base": {"min_count": 1, "hidden": 16}},
    "glove": {**VECTORS, "base": {"min_count": 1, "hidden": 16}},
    "random-vectors": {**VECTORS, "base": {"min_count": 1, "hidden": 16}},
}
"""Family → its stage."""
STATIC = ("word2vec", "fasttext", "glove", "random-vectors")
"""No probe asks them: what is registered is fine-tuned."""
BY_PIECES = tuple(name for name in MODELS if name not in ("elmo", *STATIC))
EXPORTED = {
    "ngram": ("model.arpa.gz", None),
    "elmo": ("weights.hdf5", "h5py"),
    **dict.fromkeys(("nnlm", "lstm", "cnn"), ("model.onnx", "onnxruntime")),
    **dict.fromkeys(("transformer-xl", "xlnet"), ("model.safetensors", None)),
    **dict.fromkeys(STATIC, ("vectors.txt", None)),
}
"""Family → a file of the form in which others read it, and the package that this takes."""
EVALUATION = {**dict.fromkeys(BY_PIECES, "evaluate"), "elmo": "evaluate-elmo"}


def pipeline(data: Any) -> dict[str, Any]:
    stages: dict[str, Any] = {
        "link": {"language": "en", "spacy_model": None},
        "shards": {"tokenizer": {"kind": "bpe", "size": 600}},
        "words": {"use": "shards", "tokenizer": {"kind": "words", "size": 400}},
        "characters": {
            "use": "shards",
            "tokenizer": {"kind": "words-or-bytes", "size": 400, "lowercase": False},
        },
    }
    for family, settings in MODELS.items():
        stages[family] = {"use": "pretrain", **settings, "base": {"family": family, **settings["base"]}}
    stages["evaluate"] = {"inputs": {"arms": [*BY_PIECES], "shards": "shards"}}
    stages["evaluate-elmo"] = {"use": "evaluate", "inputs": {"arms": ["elmo"], "shards": "characters"}}
    for family in MODELS:
        offered = family
        if family in STATIC:
            offered = f"tuned-{family}"
            stages[offered] = {
                "use": "finetune",
                "inputs": {"start": family},
                "task": "classification",
                "data": data,
                "epochs": 1,
                "length": 32,
            }
        stages[f"offer-{family}"] = {
            "use": "register",
            "name": family,
            "inputs": {"model": offered} | ({} if family in STATIC else {"evaluation": EVALUATION[family]}),
        }
    corpus = {"source": "folder", "path": str(EXAMPLE.parent / "texts"), "held_out": 0.3}
    graph = {"source": "native", "path": str(EXAMPLE.parent)}
    return {"name": "families", "graph": graph, "corpus": corpus, "stages": stages}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("families")
    file = folder / "families.yaml"
    file.write_text(
        yaml.safe_dump(pipeline(write_task(folder, "classification", 12, 6)), sort_keys=False), "utf-8"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEPIPE_TRACKING", "off")  # nothing is delivered beside
        kepipe.run(file, workspace=folder / "workspace", progress=False)
    deliver_pending(folder / "workspace", connect(folder / "workspace"), evaluate_pair)
    return folder / "workspace"


def test_every_family_outside_the_transformer_is_tested() -> None:
    assert MODELS.keys() == OTHERS.keys() == EXPORTED.keys()


@pytest.mark.parametrize("family", MODELS)
def test_registered_model_predicts_through_mlflow(
    family: str, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{workspace / 'mlflow.db'}")
    model = mlflow.pyfunc.load_model(f"models:/{family}@champion")
    asked = "Mars is a <mask>." if family == "cnn" else "The moon of"
    answer = model.predict([asked])
    assert set(answer["text"]) == {0}
    assert answer["prediction"].notna().all()


@pytest.mark.parametrize("family", MODELS)
def test_model_is_exported(
    family: str, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, package = EXPORTED[family]
    if package is not None:
        pytest.importorskip(package)
    export(workspace / "families" / family, tmp_path / "out")
    assert (tmp_path / "out" / file).stat().st_size > 100
    if family != "elmo":
        assert (tmp_path / "out" / "tokenizer.json").is_file()
    if file == "model.onnx":
        follow_the_page(tmp_path / "out", monkeypatch)


def test_encoder_tuned_on_vectors_is_exported_with_its_head(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    export(workspace / "families" / "tuned-glove", tmp_path / "out")
    assert follow_the_page(tmp_path / "out", monkeypatch)["outputs"][0].shape == (2, 2)


def export(source: Path, folder: Path) -> None:
    done = CliRunner().invoke(app, ["export", str(source), str(folder)])
    assert done.exit_code == 0, f"{done.output}{done.exception!r}"


def follow_the_page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run the program that the folder's page shows, there; its names."""
    monkeypatch.chdir(folder)
    (program,) = (code for language, code in blocks(Path("README.md")) if language == "python")
    names: dict[str, Any] = {}
    exec(compile(program, "README.md", "exec"), names)
    return names
