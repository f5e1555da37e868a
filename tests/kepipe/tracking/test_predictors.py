"""Models of each kind, saved as MLflow models and opened by MLflow alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pytest
import typer.testing
from click.testing import CliRunner
from mlflow.models.cli import commands

from kepipe.cli import app
from kepipe.finetuning.markup import ask
from kepipe.finetuning.predictor import Predictor
from kepipe.finetuning.table import TASKS, TaskName
from kepipe.models import folder as models
from kepipe.models.hf import huggingface
from kepipe.models.static.config import StaticConfig
from kepipe.serving.served_model import CurrentModel
from kepipe.tracking import pyfunc
from kepipe.tracking.predictors import PREDICTORS, predictor_of
from tests.support.tasks import base_model, finetune, write_task


def written(folder: Path, target: Path) -> Any:
    """The model as MLflow opens it; it answers the input example that is stored with it."""
    pyfunc.write(folder, target, "m-0", "r")
    model = mlflow.pyfunc.load_model(str(target))
    params = {"limit": 5} if predictor_of(folder) is PREDICTORS["text"] else {}
    assert set(model.predict(model.input_example, params=params)["text"]) == {0}
    return model


@pytest.mark.parametrize("task", TASKS)
def test_input_example_of_a_task_is_a_valid_text(task: TaskName) -> None:
    assert ask(task, TASKS[task].example, "en", "example").text


def test_mlflow_predict_command_answers_with_a_masked_model(tmp_path: Path) -> None:
    model = written(base_model(tmp_path / "base").folder, tmp_path / "model")
    asked, answered = tmp_path / "model" / "serving_input_example.json", tmp_path / "answer.json"
    words = ["predict", "-m", str(tmp_path / "model"), "-i", str(asked), "-o", str(answered)]
    ended = CliRunner().invoke(commands, [*words, "-t", "json", "--env-manager", "local"])
    assert ended.exit_code == 0, ended.output
    rows = json.loads(answered.read_text())["predictions"]
    assert [row["prediction"] for row in rows] == model.predict(model.input_example)["prediction"].tolist()


def test_fine_tuned_pyfunc_predicts_labels(tmp_path: Path) -> None:
    data = write_task(tmp_path / "data", "classification", train=60, test=20)
    made = finetune(tmp_path / "work", base_model(tmp_path / "base"), "classification", data, epochs=2)
    model = written(made.folder, tmp_path / "model")
    texts = ["we saw a lovely day", "the rain was awful"]
    table = model.predict(texts)
    assert list(table.columns) == list(PREDICTORS["task"].columns)
    direct = Predictor.open(made.folder).predict(texts)
    assert table["prediction"].tolist() == [record["predicted"] for record in direct]
    assert table["probability"].tolist() == pytest.approx([record["probability"] for record in direct])
    assert json.loads(table["answer"][1])["predicted"] == table["prediction"][1]
    assert table["text"].tolist() == [0, 1]


def test_tagging_pyfunc_answers_as_json(tmp_path: Path) -> None:
    data = write_task(tmp_path / "data", "tagging", train=40, test=20)
    made = finetune(tmp_path / "work", base_model(tmp_path / "base"), "tagging", data, epochs=1)
    table = written(made.folder, tmp_path / "model").predict(["ann fine saw oslo"])
    assert len(json.loads(table["prediction"][0])) == 4
    assert table["probability"].isna().all()


def test_causal_pyfunc_continues_texts(tmp_path: Path) -> None:
    start = base_model(tmp_path / "gpt", "gpt2", positions=32)
    model = written(start.folder, tmp_path / "model")
    table = model.predict(["we saw the", "rain"], params={"limit": 5})
    assert list(table.columns) == ["text", "prediction"]
    assert table["text"].tolist() == [0, 1]
    assert all(isinstance(text, str) for text in table["prediction"])
    assert any(table["prediction"].str.len() > 0)
    with pytest.raises(ValueError, match="positions"):
        model.predict(["we saw the"], params={"limit": 100})


def test_model_that_cannot_predict_is_rejected(tmp_path: Path) -> None:
    config = StaticConfig(family="word2vec", vocabulary=4, hidden=2)
    (tmp_path / "config.json").write_text(json.dumps({"format": config.format, **config.to_json()}))
    assert predictor_of(tmp_path) is None
    with pytest.raises(ValueError, match="neither fills masks, generates text nor has a task"):
        pyfunc._load_pyfunc(str(tmp_path))


def with_values(**values: Any) -> Callable[[Path], None]:
    """Damage: other values in the model's config."""

    def damage(folder: Path) -> None:
        file = folder / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | values))

    return damage


def with_text(text: str) -> Callable[[Path], None]:
    """Damage: another text in place of the model's config."""

    def damage(folder: Path) -> None:
        (folder / "config.json").write_text(text)

    return damage


def only_pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def with_index(folder: Path) -> None:
    index = {"weight_map": {"a": "../../model.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


DAMAGED: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "own size": (
        "own",
        with_values(hidden="32"),
        r'config\.json: `hidden`: expected a whole number up to .*, found "32"',
    ),
    "own part": (
        "own",
        with_values(label_heads=3),
        r"config\.json: `label_heads`: expected an object, found 3",
    ),
    "own family": ("own", with_values(family=["bert"]), r"config\.json: `family`: expected a text, found \["),
    "own word": (
        "own",
        with_values(norm="batch"),
        r'config\.json: `norm`: expected layer, rms, unbiased, found "batch"',
    ),
    "own number": (
        "own",
        with_values(dropout="0.1"),
        r'config\.json: `dropout`: expected a number from 0 to 1, found "0\.1"',
    ),
    "their positions": (
        "theirs",
        with_values(max_position_embeddings=0),
        r"config\.json: `max_position_embeddings`: expected a whole number from 1 to 16,777,216, found 0",
    ),
    "their size": (
        "theirs",
        with_values(hidden_size=[32]),
        r"config\.json: `hidden_size`: expected a whole number up to 131,072, found \[32\]",
    ),
    "their activation": (
        "theirs",
        with_values(hidden_act=["gelu"]),
        r'config\.json: activation \["gelu"\]; known: gelu, ',
    ),
    "their type": ("theirs", with_values(model_type="novel"), r"config\.json: model type 'novel' is not one"),
    "nested": ("own", with_text("[" * 100_000), r"config\.json: .*nested too deeply"),
    "no object": ("own", with_text("[]"), r"config\.json: not the config of a model: expected \{"),
    "empty object": ("own", with_text("{}"), r"config\.json: `vocab_size` is missing"),
    "missing": (
        "own",
        lambda folder: (folder / "config.json").unlink(),
        r"config\.json: no readable config of a model \(|own: not fine-tuned for a task \(task\.json is missing\)",
    ),
    "pickle": (
        "theirs",
        only_pickled,
        r"model\.safetensors: no such file\. Weights are read from safetensors only",
    ),
    "index": ("theirs", with_index, r"index\.json: `weight_map`: expected names of .* '\.\./\.\./model"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_reason_why_a_damaged_model_cannot_be_loaded_is_told_everywhere(tmp_path: Path, damage: str) -> None:
    layout, spoil, reason = DAMAGED[damage]
    folder = base_model(tmp_path / "own").folder
    if layout == "theirs":
        folder = tmp_path / "theirs"
        huggingface.save(folder, models.load(tmp_path / "own"), tmp_path / "own")
    spoil(folder)
    with pytest.raises(ValueError, match=reason) as of_mlflow:
        pyfunc._load_pyfunc(str(folder))
    with pytest.raises(ValueError, match=reason) as of_serve:
        CurrentModel(str(folder), tmp_path, print)
    of_predict = typer.testing.CliRunner().invoke(app, ["predict", str(folder), "Io is a [MASK]."])
    told = str(of_predict.exception or of_predict.output)
    assert of_predict.exit_code
    assert re.search(reason, told), told
    assert not any("cannot predict" in text for text in (str(of_mlflow.value), str(of_serve.value), told))
