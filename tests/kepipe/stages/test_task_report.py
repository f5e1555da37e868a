"""The page of fine-tuned models: scores, scores by label, mistakes, and differences between two models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kepipe.finetuning.records import Piece, pieces
from kepipe.flow.artifact import seal
from kepipe.flow.events import Noted
from kepipe.stages.artifacts import FineTuned
from kepipe.stages.task_report import TASK_REPORT
from tests.support.stages import run_stage
from tests.support.tasks import base_model, finetune, write_task
from tests.support.toy_training import EventRecorder


def tuned(folder: Path, name: str, task: str, epochs: int) -> FineTuned:
    data = write_task(folder / "data", task, train=80, test=24)
    recorder = EventRecorder()
    made = finetune(folder / name, base_model(folder / f"{name}-base"), task, data, recorder, epochs=epochs)
    (made.folder / "record").mkdir()
    logged = [{"step": step, "loss": loss} for step, loss in recorder.metric("loss").items()]
    (made.folder / "record" / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in logged))
    return FineTuned(made.folder, seal(made.folder, {"seed": 3}, "r"), name=name)


@pytest.mark.parametrize("task", ["classification", "tagging"])
def test_task_report_has_scores_labels_mistakes_and_differences(tmp_path: Path, task: str) -> None:
    models = (tuned(tmp_path, "long", task, 6), tuned(tmp_path, "short", task, 1))
    inputs = TASK_REPORT.inputs(models)
    events = run_stage(TASK_REPORT, inputs, TASK_REPORT.config(), tmp_path / "report")
    page = (tmp_path / "report" / "out" / "report.html").read_text(encoding="utf-8")
    (note,) = (event.message for event in events if isinstance(event, Noted))
    assert note.startswith(f"{task}: ")
    label = {"classification": ">1</td>", "tagging": ">CITY</td>"}[task]
    assert label in page
    assert "Mistakes of short" in page
    assert "long is right where short is wrong in" in page
    records = [json.loads(line) for line in (models[1].folder / "predictions.jsonl").read_text().splitlines()]
    wrong = [line for line in records if line["split"] == "test" and len(set(pieces(line))) == 2]
    assert f"{len(wrong)} of 24 examples of `test` are predicted wrongly" in page
    if wrong:
        assert wrong[0]["text"].split()[0] in page


def test_task_report_of_several_tasks_is_rejected(tmp_path: Path) -> None:
    models = (tuned(tmp_path / "a", "one", "classification", 1), tuned(tmp_path / "b", "two", "tagging", 1))
    with pytest.raises(ValueError, match="different tasks, classification, tagging"):
        run_stage(TASK_REPORT, TASK_REPORT.inputs(models), TASK_REPORT.config(), tmp_path / "report")


@pytest.mark.parametrize(
    ("labels", "predicted", "gold", "answered"),
    [
        ("good", "bad", {Piece("good")}, {Piece("bad")}),
        (["a", "b"], {"b": 0.9}, {Piece("a"), Piece("b")}, {Piece("b")}),
        (
            ["B-PER", "I-PER", "O"],
            ["B-PER", "O", "O"],
            {Piece("PER", 0, 2)},
            {Piece("PER", 0, 1)},
        ),
        ("B-PER", ["B-PER"], {Piece("PER", 0, 1)}, {Piece("PER", 0, 1)}),
    ],
)
def test_predictions_are_split_into_comparable_pieces(
    labels: object, predicted: object, gold: set[Piece], answered: set[Piece]
) -> None:
    assert pieces({"labels": labels, "predicted": predicted}) == (gold, answered)
