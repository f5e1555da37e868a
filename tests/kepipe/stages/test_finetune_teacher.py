"""Distillation: a student learns a task from a teacher's probabilities, also with wrong labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kepipe.finetuning.encoding import encode_rows
from kepipe.finetuning.predictor import Predictor
from kepipe.finetuning.soft_labels import with_soft_labels
from kepipe.finetuning.splits import Data, read_splits
from kepipe.finetuning.table import TASKS, TaskName
from kepipe.stages.artifacts import Model
from kepipe.training.distillation import Distillation
from kg.problems import Problems
from tests.support.conflicts import error_message
from tests.support.tasks import base_model, finetune, write_task
from tests.support.toy_training import EventRecorder

SWAPS = {
    "classification": {"0\t": "1\t", "1\t": "0\t"},
    "tagging": {"B-CITY": "B-PER", "B-PER": "B-CITY"},
    "multi-label": {'["person"]': '["place"]', '["place"]': '["person"]'},
}
"""Task → what stands in its training file → what it is exchanged for."""


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return base_model(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return base_model(tmp_path_factory.mktemp("small"), layers=1)


def with_wrong_labels(data: dict[str, str], swaps: dict[str, str], folder: Path) -> dict[str, str]:
    """The task with its training labels exchanged."""
    folder.mkdir()
    file = Path(data["train"])
    lines = []
    for line in file.read_text().splitlines(keepends=True):
        parts = {wrong: f"\0{number}" for number, wrong in enumerate(swaps)}
        for right, mark in parts.items():
            line = line.replace(right, mark)
        for right, mark in parts.items():
            line = line.replace(mark, swaps[right])
        lines.append(line)
    (folder / file.name).write_text("".join(lines))
    return {**data, "train": str(folder / file.name)}


@pytest.mark.parametrize("task", list(SWAPS))
def test_student_follows_the_teacher_instead_of_wrong_labels(
    bert: Model, small: Model, tmp_path: Path, task: TaskName
) -> None:
    data = write_task(tmp_path / "data", task)
    teacher = finetune(tmp_path / "teacher", bert, task, data)
    wrong = with_wrong_labels(data, SWAPS[task], tmp_path / "wrong")
    metric, recorder = TASKS[task].choose_by, EventRecorder()
    student = finetune(
        tmp_path / "student", small, task, wrong, recorder, {"teacher": teacher}, distillation={"weight": 1.0}
    )
    assert student.scores()["test"][metric].value > 0.9
    assert set(recorder.metric("loss_task").values()) == {0.0}
    alone = finetune(tmp_path / "alone", small, task, wrong, epochs=3)
    assert alone.scores()["test"][metric].value < 0.8


def test_soft_labels_are_the_teachers_at_the_temperature(bert: Model, small: Model, tmp_path: Path) -> None:
    """Softmax of half the logits: the normalised square root of the probabilities. Columns in the student's order."""
    data = write_task(tmp_path / "data", "classification", 40, 40)
    teacher = Predictor.open(finetune(tmp_path / "teacher", bert, "classification", data, epochs=1).folder)
    splits = read_splits(Data.model_validate(data), TASKS["classification"].read, 0, Problems())
    spec = teacher.fine_tuned.spec
    examples = splits["train"][:8]
    rows = encode_rows(examples, teacher.fine_tuned.row_format)
    at_1, at_2 = (
        np.concatenate([row.soft_labels for row in with_soft_labels(rows, examples, teacher, spec, at)])
        for at in (Distillation(temperature=1.0), Distillation(temperature=2.0))
    )
    roots = np.sqrt(at_1)
    assert at_2 == pytest.approx(roots / roots.sum(1, keepdims=True), abs=1e-6)
    answers = teacher.predict([example.text for example in examples])
    assert at_1.max(1) == pytest.approx([record["probability"] for record in answers], abs=1e-5)
    turned = replace(spec, labels=spec.labels[::-1])
    reversed_ = with_soft_labels(rows, examples, teacher, turned, Distillation(temperature=1.0))
    assert np.concatenate([row.soft_labels for row in reversed_])[:, ::-1] == pytest.approx(at_1)
    for changed, said_so in (
        ({"task": "pairs"}, "fine-tuned for class"),
        ({"labels": ("0", "2")}, "differ: 1, 2"),
    ):
        with pytest.raises(ValueError, match=said_so):
            with_soft_labels(rows, examples, teacher, replace(spec, **changed), Distillation())


def test_teacher_given_as_a_folder_gives_the_same_student(bert: Model, small: Model, tmp_path: Path) -> None:
    data = write_task(tmp_path / "data", "classification", 100, 40)
    teacher = finetune(tmp_path / "teacher", bert, "classification", data, epochs=1)
    made = [
        finetune(tmp_path / name, small, "classification", data, None, inputs, epochs=1, **changes)
        for name, inputs, changes in (
            ("stage", {"teacher": teacher}, {}),
            ("folder", {}, {"distillation": {"from": str(teacher.folder)}}),
        )
    ]  # type: list[FineTuned]
    one, other = ((model.folder / "head.safetensors").read_bytes() for model in made)
    assert one == other


def test_similarities_of_hidden_states_approach_the_teachers(bert: Model, tmp_path: Path) -> None:
    """The more, the larger their weight, also for a student of another architecture and width; the teacher's files stay
    as they are."""
    data = write_task(tmp_path / "data", "classification", 100, 40)
    teacher = finetune(tmp_path / "teacher", bert, "classification", data, epochs=3)
    before = {file.name: file.read_bytes() for file in teacher.folder.iterdir() if file.is_file()}
    start = base_model(tmp_path / "start", "modernbert", layers=1, hidden=16)
    differences = []
    for weight in (0.001, 10.0):
        recorder, settings = EventRecorder(), {"similarities": weight}
        finetune(
            tmp_path / str(weight),
            start,
            "classification",
            data,
            recorder,
            {"teacher": teacher},
            distillation=settings,
            epochs=4,
        )
        differences.append(list(recorder.metric("loss_similarities").values())[-1] / weight)
    assert differences[1] < 0.5 * differences[0]
    assert before == {file.name: file.read_bytes() for file in teacher.folder.iterdir() if file.is_file()}


def test_teachers_states_are_what_its_last_layer_reads(bert: Model, tmp_path: Path) -> None:
    """The last layer makes the teacher's probabilities of them. Words that it cuts off have none."""
    data = write_task(tmp_path / "data", "tagging", 40, 40)
    teacher = Predictor.open(finetune(tmp_path / "teacher", bert, "tagging", data, epochs=1, length=8).folder)
    splits = read_splits(Data.model_validate(data), TASKS["tagging"].read, 0, Problems())
    spec, examples = teacher.fine_tuned.spec, splits["train"][:8]
    rows = encode_rows(examples, replace(teacher.fine_tuned.row_format, length=32))
    settings = Distillation(temperature=1.0, similarities=1.0)
    found = with_soft_labels(rows, examples, teacher, spec, settings)
    assert [row.tokens.tolist() for row in found] == [row.tokens.tolist() for row in rows]
    states_ND = np.concatenate([row.teacher_states for row in found])
    probable_NL = np.concatenate([row.soft_labels for row in found])
    read_N = ~np.isnan(states_ND).any(1)
    assert 0 < read_N.sum() < len(read_N)
    assert probable_NL[~read_N] == pytest.approx(1 / len(spec.labels))
    dense = teacher.fine_tuned.model.head.dense
    with torch.no_grad():
        logits_NL = dense(torch.from_numpy(states_ND[read_N]).float())
    assert probable_NL[read_N] == pytest.approx(logits_NL.softmax(1).numpy(), abs=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            "task: tagging, train: head, distillation: {from: ./teacher, similarities: 1}",
            "set `train: lora` or `train: all`",
        ),
        ("task: similarity, distillation: {from: ./teacher}", "similarity has none"),
        ("task: tagging, decoding: crf, distillation: {from: ./teacher}", "set `decoding: valid`"),
        ("task: tagging, distillation: {weight: 0.5}", "give the teacher"),
        ("task: tagging, distillation: {weight: 0}", "expected a number above 0"),
    ],
)
def test_finetune_teacher_conflicts_are_reported(tmp_path: Path, settings: str, message: str) -> None:
    data: Any = write_task(tmp_path / "data", "tagging", 4, 4)
    (tmp_path / "teacher").mkdir()
    stages = f"  finetune: {{base: {{from: minilm}}, data: {data}, {settings}}}\n"
    assert message in error_message(tmp_path, stages)
