"""Extractive question answering: SQuAD's files, long texts, no answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kepipe.finetuning.encoding import RowFormat, encode_rows
from kepipe.finetuning.examples import Example
from kepipe.finetuning.fine_tuned import load
from kepipe.finetuning.output import AnswerFormat
from kepipe.finetuning.predictor import Predictor
from kepipe.finetuning.question_answering import TASK, read
from kepipe.finetuning.span_output import LONGEST, best_span, best_threshold
from kepipe.tokenization.tokenizer import load_tokenizer
from kg.problems import Problems
from tests.support.tasks import base_model, finetune, write_task

MINILM = load_tokenizer("minilm")
CONTEXT = "Io is a moon of Jupiter. Galileo saw Io in 1610."


def qa(id: str, question: str, *answers: str, **more: Any) -> dict[str, Any]:
    found = [{"text": answer, "answer_start": CONTEXT.index(answer)} for answer in answers]
    return {"id": id, "question": question, "answers": found, **more}


QUESTIONS = [
    qa("1", "What is Io?", "a moon", "moon of Jupiter"),
    qa("2", "Who saw Mars?", is_impossible=True, plausible_answers=[{"text": "Galileo", "answer_start": 25}]),
    qa("3", "When?", "1610"),
]
SHOWN = [("1", ("a moon", "moon of Jupiter")), ("2", ()), ("3", ("1610",))]


def test_squad_files_and_json_lines_give_the_same_questions(tmp_path: Path) -> None:
    squad = {
        "version": "v2.0",
        "data": [{"title": "Io", "paragraphs": [{"context": CONTEXT, "qas": QUESTIONS}]}],
    }
    (tmp_path / "squad.json").write_text(json.dumps(squad, indent=1))
    flat = [{**asked, "context": CONTEXT} for asked in QUESTIONS]
    (tmp_path / "lines.jsonl").write_text("".join(json.dumps(record) + "\n" for record in flat))
    theirs = [
        {**record, "answers": {key: [a[key] for a in record["answers"]] for key in ("text", "answer_start")}}
        for record in flat
    ]
    (tmp_path / "array.json").write_text(json.dumps(theirs))
    for name in ("squad.json", "lines.jsonl", "array.json"):
        problems = Problems()
        found = list(read(tmp_path / name, problems))
        assert not problems, name
        assert [(example.id, example.labels) for example in found] == SHOWN
        assert [[CONTEXT[s.start : s.end] for s in e.answers] for e in found] == [
            list(labels) for _, labels in SHOWN
        ]
        assert {example.second for example in found} == {CONTEXT}


def test_answer_at_a_wrong_position_is_reported(tmp_path: Path) -> None:
    wrong = {"id": "1", "question": "?", "context": CONTEXT, "answers": [{"text": "moon", "answer_start": 0}]}
    lacking = {"question": "?", "context": CONTEXT}
    (tmp_path / "a.jsonl").write_text(json.dumps(wrong) + "\n" + json.dumps(lacking) + "\n")
    problems = Problems()
    assert list(read(tmp_path / "a.jsonl", problems)) == []
    assert [problem.line for problem in problems.first] == [1, 2]
    assert "is not at character 0" in problems.first[0].message
    assert "`answers` is missing" in problems.first[1].message


def test_window_is_labelled_only_with_a_whole_answer(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        "".join(json.dumps({**q, "context": CONTEXT}) + "\n" for q in QUESTIONS)
    )
    examples = list(read(tmp_path / "a.jsonl", Problems()))
    row_format = RowFormat(MINILM, 16, "second", overlap=4)
    rows = encode_rows(examples, row_format)
    answers = AnswerFormat(MINILM, ("answer", "no answer"), 0, "second")
    labelled = TASK.output.encode(rows, [examples[row.example] for row in rows], answers)
    taught: dict[int, set[str]] = {0: set(), 1: set(), 2: set()}
    for row in labelled:
        assert row.labels is not None
        assert row.characters is not None
        first, last = (int(number) for number in row.labels)
        if first:
            start, end = row.characters[first - 1, 0], row.characters[last - 1, 1]
            taught[row.example].add(CONTEXT[start:end])
            tokens = row.tokens[row.read_positions[first] : row.read_positions[last] + 1]
            assert MINILM.decode(tokens.tolist()).strip() == CONTEXT[start:end].lower()
        else:
            assert last == 0
    assert taught == {0: {"a moon"}, 1: set(), 2: {"1610"}}
    assert len(labelled) > 3
    (unknown,) = TASK.output.encode(rows[:1], [Example("x", "?", second=CONTEXT)], answers)
    assert unknown.labels is None


def test_best_answer_span_equals_brute_force() -> None:
    rng = np.random.default_rng(0)
    for size in (1, 5, 40):
        logits, there = rng.normal(size=(size + 1, 2)), rng.random(size + 1) < 0.9
        there[:2] = True
        spans = {
            (first, last): logits[first, 0] + logits[last, 1]
            for first in range(1, size + 1)
            for last in range(first, min(size + 1, first + LONGEST))
            if there[first] and there[last]
        }
        found = best_span(logits, there)
        assert (found.first, found.last) == max(spans, key=lambda span: spans[span])
        assert found.log_total == pytest.approx(np.log(np.exp([*spans.values()]).sum()))
        assert found.null == pytest.approx(logits[0].sum())
    assert best_span(np.zeros((1, 2)), np.array([True])).first == 0


def test_no_answer_threshold_equals_brute_force() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        margins, gains = rng.normal(size=30), rng.choice([-1.0, 0.0, 0.4, 1.0], 30)
        found = gains[margins > best_threshold(margins, gains)].sum()
        tried = [gains[margins > threshold].sum() for threshold in [*(margins - 1e-9), *(margins + 1e-9)]]
        assert found == pytest.approx(max(tried))


def test_answers_are_found_in_texts_longer_than_a_row(tmp_path: Path) -> None:
    """Trained on short texts, tested on a text of ten rows, with a no-answer bias fitted on dev."""
    data = write_task(tmp_path, "question-answering")
    changes: dict[str, Any] = {"length": 20, "overlap": 6, "calibrate": True, "epochs": 12}
    made = finetune(tmp_path / "stage", base_model(tmp_path / "bert"), "question-answering", data, **changes)
    assert made.scores()["test"]["token_f1"].value > 0.9
    assert made.scores()["test"]["no_answer_f1"].value > 0.8
    records = [json.loads(line) for line in (made.folder / "predictions.jsonl").read_text().splitlines()]
    assert {record["predicted"] == "" for record in records} == {True, False}
    assert all(record["right"] for record in records if record["predicted"] in record["labels"])
    opened = load(made.folder)
    assert opened.spec.overlap == 6
    assert float(dict(opened.model.head.named_parameters())["null_bias"]) != 0
    filler = "the old day was long and we saw rain again " * 8
    text = f"owns ||| {filler}cleo fine {filler}"
    (found,) = Predictor(opened).predict([text])
    assert found["predicted"] == "cleo fine"
    assert (filler + "cleo fine")[found["start"] :] == "cleo fine"
    (none,) = Predictor(opened).predict([f"owns ||| {filler}{filler}"])
    assert none["predicted"] == ""
