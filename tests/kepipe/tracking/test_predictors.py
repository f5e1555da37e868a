"""Models of each kind, saved as MLflow models and opened by MLflow alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pytest
from click.testing import CliRunner
from mlflow.models.cli import commands

from kepipe.finetuning.markup import ask
from kepipe.finetuning.predictor import Predictor
from kepipe.finetuning.table import TASKS, TaskName
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


def test_folder_without_a_usable_model_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert predictor_of(tmp_path) is None
    with pytest.raises(ValueError, match="neither fills masks, generates text nor has a task"):
        pyfunc._load_pyfunc(str(tmp_path))
