"""The stage `finetune`: every task with every family; choice of epoch; errors; kill and resume."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kepipe.finetuning.predictor import Predictor
from kepipe.finetuning.table import TASKS, TaskName
from kepipe.knowledge.base import KNOWLEDGE_FILE
from kepipe.models.folder import load, read_provenance
from kepipe.stages.artifacts import Model
from kepipe.stages.finetune import FINETUNE
from kepipe.studies.scores import read_scores
from tests.support.tasks import base_model, finetune, tokenizer, write_task
from tests.support.toy_training import EventRecorder, context_in
from tests.support.waiting import TIMEOUT


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return base_model(tmp_path_factory.mktemp("bert"))


@pytest.mark.parametrize("task", [name for name, row in TASKS.items() if row.resource is None])
def test_every_task_is_learned(bert: Model, tmp_path: Path, task: TaskName) -> None:
    start = base_model(tmp_path / "writer", "bart") if task == "text-to-text" else bert
    slowly = {"epochs": 16, "learning_rate": 2e-3, "batch_tokens": 256} if start is not bert else {}
    made = finetune(tmp_path / "stage", start, task, write_task(tmp_path, task), **slowly)
    assert set(made.scores()["test"]) <= set(TASKS[task].metrics) <= {"macro_f1", *made.scores()["test"]}
    score = made.scores()["test"][TASKS[task].choose_by]
    assert score.value > 0.9
    assert score.low is not None
    assert score.high is not None
    assert score.low <= score.value <= score.high
    records = [json.loads(line) for line in (made.folder / "predictions.jsonl").read_text().splitlines()]
    assert [record["split"] for record in records].count("test") == 100
    assert all({"id", "predicted", "labels"} <= record.keys() for record in records)


def test_words_without_a_token_are_ignored_and_predicted_as_outside(bert: Model, tmp_path: Path) -> None:
    """Every second sentence has some, with wrong labels, before its other words."""
    data = write_task(tmp_path, "tagging")
    for file in map(Path, data.values()):
        header, *lines = file.read_text().splitlines()
        pairs = [line.split("\t") for line in lines]
        changed = [
            (f"\u200b {words} \u200b", f"B-CITY {labels} B-PER") if number % 2 else (words, labels)
            for number, (words, labels) in enumerate(pairs)
        ]
        file.write_text("\n".join([header, *map("\t".join, changed)]) + "\n")
    recorder = EventRecorder()
    made = finetune(tmp_path / "stage", bert, "tagging", data, recorder)
    assert "600 words have no token" in recorder.notes()
    records = [json.loads(line) for line in (made.folder / "predictions.jsonl").read_text().splitlines()]
    right = [record["predicted"] == record["labels"] for record in records[0::2]]
    inner = [record["predicted"][1:-1] == record["labels"][1:-1] for record in records[1::2]]
    assert np.mean(right) > 0.9
    assert np.mean(inner) > 0.9
    assert all(record["predicted"][0] == record["predicted"][-1] == "O" for record in records[1::2])
    (answers,) = Predictor.open(made.folder).predict(["\u200b we saw oslo"])
    assert answers["predicted"] == ["O", "O", "O", "B-CITY"]
    assert [span["text"] for span in answers["spans"]] == ["oslo"]


@pytest.mark.parametrize("family", ["gpt2", "bart", "t5", "roberta"])
def test_every_family_learns_a_task(tmp_path: Path, family: str) -> None:
    start = base_model(tmp_path / "base", family)
    for task in ("relations", "tagging") if family == "gpt2" else ("relations",):
        made = finetune(tmp_path / task, start, task, write_task(tmp_path / "data" / task, task))
        assert made.scores()["test"][TASKS[task].choose_by].value > 0.8


def test_frozen_features_keep_the_models_weights(bert: Model, tmp_path: Path) -> None:
    data = write_task(tmp_path, "classification")
    changes: dict[str, Any] = {"train": "head", "pooling": "mean", "epochs": 24, "learning_rate": 3e-2}
    made = finetune(tmp_path / "stage", bert, "classification", data, **changes)
    assert made.scores()["test"]["accuracy"].value > 0.9
    before, after = dict(load(bert.folder).named_parameters()), dict(load(made.folder).named_parameters())
    assert all((before[name] == value).all() for name, value in after.items())


def test_finetune_writes_a_model_folder_with_provenance(bert: Model, tmp_path: Path) -> None:
    recorder = EventRecorder()
    made = finetune(tmp_path / "s", bert, "relations", write_task(tmp_path, "relations"), recorder, epochs=2)
    assert load(made.folder).config == load(bert.folder).config
    assert read_provenance(made.folder)["start"] == "digest"
    assert set(json.loads((made.folder / "task.json").read_text())["markers"]) == {"[HD]", "[TL]"}
    assert len(recorder.metric("held_out_micro_f1")) == 3  # before the first epoch and after each
    assert "test" in made.scores()


def test_finetune_can_start_from_another_task(bert: Model, tmp_path: Path) -> None:
    """An intermediate task: a new head on frozen features learns the relations again, with the same markers."""
    data = write_task(tmp_path, "relations")
    first = finetune(tmp_path / "first", bert, "relations", data)
    changes: dict[str, Any] = {"train": "head", "entity_markers": True, "epochs": 2, "learning_rate": 3e-2}
    again = finetune(tmp_path / "again", first, "relations", data, **changes)
    markers = [json.loads((made.folder / "task.json").read_text())["markers"] for made in (first, again)]
    assert markers[0] == markers[1]
    assert again.scores()["test"]["micro_f1"].value > 0.9
    finetune(tmp_path / "other", first, "typing", write_task(tmp_path, "typing", 40, 40), epochs=1)


def test_split_does_not_influence_the_weights(bert: Model, tmp_path: Path) -> None:
    """Other test examples give bit-identical weights."""
    data = write_task(tmp_path, "relations")
    other = data | {"test": data["dev"]}
    folders = [
        finetune(tmp_path / n, bert, "relations", d, epochs=3).folder for n, d in (("a", data), ("b", other))
    ]
    for name in ("model.safetensors", "head.safetensors"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()


def test_best_epoch_is_kept(bert: Model, tmp_path: Path) -> None:
    """With a learning rate at which late epochs diverge, the scores are those of the best epoch."""
    recorder = EventRecorder()
    changes: dict[str, Any] = {"epochs": 6, "learning_rate": 2e-2}
    made = finetune(tmp_path / "s", bert, "tagging", write_task(tmp_path, "tagging"), recorder, **changes)
    errors = recorder.metric("held_out_error")
    best = min(value for step, value in errors.items() if step)
    assert made.scores()["dev"]["span_f1"].value == pytest.approx(1 - best, abs=1e-9)


def test_invalid_finetune_settings_are_rejected(bert: Model, tmp_path: Path) -> None:
    data = write_task(tmp_path, "classification")
    with pytest.raises(ValueError, match="give the model to start from"):
        FINETUNE.run(
            FINETUNE.inputs(),
            FINETUNE.config.model_validate({"task": "classification", "data": data}),
            context_in(tmp_path / "w"),
        )
    for changes, said in (
        ({"mentions": "linker"}, "`linker` needs an input: set `inputs: {linked: link}`"),
        ({"length": 4096}, "the model has 512 positions: set `length: 512`"),
    ):
        with pytest.raises(ValueError, match=said):
            finetune(tmp_path / "w", bert, "classification", data, **changes)
    one = tmp_path / "one.tsv"
    one.write_text("label\ttext_a\n" + "1\tfine\n" * 50)
    with pytest.raises(ValueError, match="the data has one label"):
        finetune(tmp_path / "w", bert, "classification", {"train": str(one), "dev": str(one)})


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("k-bert", r"k-bert needs a graph: set `inputs: \{graph: graph\}`"),
        ("ernie-tsinghua", r"needs the vectors of a graph: set `inputs: \{vectors: embed\}`"),
    ],
)
def test_knowledge_without_its_source_is_rejected(
    bert: Model, tmp_path: Path, method: str, message: str
) -> None:
    data = write_task(tmp_path, "classification", 40, 40)
    with pytest.raises(ValueError, match=message):
        finetune(tmp_path / "w", bert, "classification", data, epochs=1, knowledge=method)


def test_model_without_knowledge_has_no_knowledge_file(bert: Model, tmp_path: Path) -> None:
    """The arm `graph-off` leaves the method out."""
    data = write_task(tmp_path, "classification", 40, 40)
    made = finetune(tmp_path / "w", bert, "classification", data, epochs=1)
    assert not (made.folder / KNOWLEDGE_FILE).exists()
    assert Predictor.open(made.folder).finder is None


@pytest.mark.data
@pytest.mark.parametrize(
    ("task", "train", "language", "metric"),
    [
        ("relations", "relations/wiki80-64/train.jsonl", "en", "micro_f1"),
        ("relations", "relations/semeval-2010-8/train.jsonl", "en", "macro_f1"),
        ("classification", "zh/chnsenticorp/dev.tsv", "zh", "accuracy"),
        ("tagging", "zh/medical_ner/dev.tsv", "zh", "span_f1"),
    ],
)
def test_finetune_runs_on_published_data(
    tmp_path: Path, task: TaskName, train: str, language: str, metric: str
) -> None:
    """The published files: all lines are read, and the stage ends with scores."""
    root = os.environ.get("KEPIPE_DATA")
    if root is None:
        pytest.skip("KEPIPE_DATA is not set")
    recorder = EventRecorder()
    changes: dict[str, Any] = {
        "base": {"layers": 1, "hidden": 32, "heads": 2},
        "tokenizer": "minilm" if language == "en" else f"{root}/zh/bert-zh-vocab.txt",
        "data": {"train": f"{root}/{train}", "max_train": 100},
        "task": task,
        "epochs": 1,
        "language": language,
    }
    context = context_in(tmp_path, recorder)
    FINETUNE.run(FINETUNE.inputs(), FINETUNE.config.model_validate(changes), context)
    assert "problem" not in recorder.notes()
    score = read_scores(context.out / "scores.json").arms["model"]["dev"][metric]
    assert score.low is not None
    assert score.high is not None
    assert 0 <= score.low <= score.value <= score.high <= 1
    told_of = [json.loads(line) for line in (context.out / "predictions.jsonl").read_text().splitlines()]
    assert len(told_of) == score.cases


def test_invalid_lines_are_reported(bert: Model, tmp_path: Path) -> None:
    data = write_task(tmp_path, "classification", 40, 40)
    with Path(data["train"]).open("a") as stream:
        stream.write("no tab\n")
    recorder = EventRecorder()
    finetune(tmp_path / "w", bert, "classification", data, recorder, epochs=1)
    assert "train.tsv:42: expected 2 cells" in recorder.notes()


RUN = """
import sys
from pathlib import Path
from kepipe.stages.artifacts import FineTuned, Model
from tests.support.killing import kill_when, newest_step
from tests.support.tasks import finetune
root = Path(sys.argv[1])
if sys.argv[3] == "killed":
    kill_when(lambda: newest_step(root / sys.argv[2] / "scratch" / "checkpoints"))
data = {split: str(root / f"{split}.jsonl") for split in ("train", "dev", "test")}
inputs, settings = None, {}
if (root / "teacher").exists():
    inputs = {"teacher": FineTuned(root / "teacher/out", "digest")}
    settings = {"distillation": {"weight": 0.5, "similarities": 1.0}}
finetune(
    root / sys.argv[2], Model(root / "base", "digest"), "relations", data, None, inputs, dropout=0.1, **settings
)
"""


def start(root: Path, name: str, ends: str = "") -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", RUN, root, name, ends], env=os.environ | {"OMP_NUM_THREADS": "1"}
    )


@pytest.mark.parametrize("taught", [False, True])
def test_killed_finetune_resumes_bit_identically(tmp_path: Path, taught: bool) -> None:
    """Also with a teacher, whose probabilities and hidden states are learned."""
    model = base_model(tmp_path / "base")
    data = write_task(tmp_path, "relations", 300, 60)
    if taught:
        finetune(tmp_path / "teacher", model, "relations", data, epochs=1)
    whole, killed = start(tmp_path, "whole"), start(tmp_path, "killed", "killed")
    assert killed.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed/out/scores.json").exists()
    assert start(tmp_path, "killed").wait() == whole.wait() == 0
    files = {name: sorted((tmp_path / name / "out").iterdir()) for name in ("whole", "killed")}
    assert [file.name for file in files["whole"]] == [file.name for file in files["killed"]]
    for one, other in zip(files["whole"], files["killed"], strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name


PIPELINE = """
name: tuned
stages:
  finetune:
    task: relations
    base: {{layers: 1, hidden: 32, heads: 2}}
    tokenizer: {tokenizer}
    data: {{train: train.jsonl, dev: dev.jsonl}}
    epochs: 1
    length: 32
"""


def test_finetune_from_the_command_line(tmp_path: Path) -> None:
    """Files are found relative to the pipeline; the fine-tuned model predicts."""
    tokenizer().save(tmp_path / "words")
    write_task(tmp_path, "relations", 60, 40)
    (tmp_path / "p.yaml").write_text(PIPELINE.format(tokenizer=tmp_path / "words"))
    command = [sys.executable, "-m", "kepipe", "run", str(tmp_path / "p.yaml"), "-w", str(tmp_path / "ws")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "relations, dev: micro_f1" in ran.stdout + ran.stderr
    found = Predictor.open(tmp_path / "ws/tuned/finetune").predict(["[[ann|head]] owns [[bob|tail]]"])
    assert found[0]["predicted"] in ("owner", "owned")
