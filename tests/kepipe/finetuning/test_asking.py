"""Every task of the table as a prompt for a language model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kepipe.config import ConfigError
from kepipe.finetuning.asking import read_prompted_task
from kepipe.finetuning.table import TASKS
from kepipe.inference.few_shot import Result

RECORDS: dict[str, list[dict[str, Any]]] = {
    "classification": [{"text": "A fine film.", "label": "good"}, {"text": "Too long.", "label": "bad_one"}],
    "pairs": [
        {"text": "Io is hot.", "second": "Io is cold.", "label": "no"},
        {"text": "Io is a moon.", "second": "It goes around Jupiter.", "label": "yes"},
    ],
    "ranking": [
        {"group": "q", "text": "Who?", "second": "Ann.", "label": "1"},
        {"group": "q", "text": "Who?", "second": "Here.", "label": "0"},
    ],
    "relations": [
        {"token": ["Io", "circles", "Jupiter"], "h": {"pos": [0, 1]}, "t": {"pos": [2, 3]}, "relation": "orbits"},
        {"token": ["Ann", "lives", "here"], "h": {"pos": [0, 1]}, "t": {"pos": [2, 3]}, "relation": "home"},
    ],
    "typing": [
        {"text": "Io is hot.", "start": 0, "end": 2, "types": ["moon", "place"]},
        {"text": "Ann is here.", "start": 0, "end": 3, "types": ["person"]},
    ],
    "tagging": [
        {"tokens": ["Io", "of", "New", "York"], "ner_tags": ["B-moon", "O", "B-city", "I-city"]},
        {"tokens": ["Nothing", "here"], "ner_tags": ["O", "O"]},
    ],
    "multi-label": [{"text": "Io is hot.", "labels": ["heat", "moons"]}, {"text": "Nothing.", "labels": []}],
    "similarity": [
        {"text": "Io is hot.", "second": "Io is cold.", "score": 1.5},
        {"text": "Io is a moon.", "second": "It is a moon.", "score": 4},
    ],
    "question-answering": [
        {"question": "What is hot?", "context": "Io is hot.", "answers": [{"text": "Io", "answer_start": 0}]},
        {"question": "What is cold?", "context": "Io is hot.", "answers": []},
    ],
    "text-to-text": [{"text": "1 + 1 =", "target": "it is two"}, {"text": "2 + 2 =", "target": "it is four"}],
}  # fmt: skip
PROMPTS = {
    "classification": "Say what the text is: bad one, good.\n\nText: A fine film.\nLabel:",
    "pairs": "Say what the two texts are to each other: no, yes.\n\n"
    "First: Io is hot.\nSecond: Io is cold.\nLabel:",
    "ranking": "Say whether the text answers the question: 0, 1.\n\nQuestion: Who?\nText: Ann.\nLabel:",
    "relations": "Say how the two names are related: home, orbits.\n\n"
    "Text: Io circles Jupiter\nFirst: Io\nSecond: Jupiter\nRelation:",
    "typing": "Say of which type the mention is: moon, person, place.\n\nText: Io is hot.\nMention: Io\nType:",
    "tagging": "List the names in the text, each with its type.\n\nText: Io of New York\nNames:",
    "multi-label": "List the labels of the text.\n\nText: Io is hot.\nLabels:",
    "similarity": "Say by a number how similar the two texts are.\n\n"
    "First: Io is hot.\nSecond: Io is cold.\nSimilarity:",
    "question-answering": "Answer the question with words of the text, or with “unanswerable”.\n\n"
    "Text: Io is hot.\nQuestion: What is hot?\nAnswer:",
    "text-to-text": "1 + 1 =",
}


def write(folder: Path, name: str | None, records: list[Any], **settings: Any) -> Path:
    data = folder / "data.jsonl"
    data.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    file = folder / "asked.yaml"
    file.write_text(
        json.dumps({"task": name, "questions": "data.jsonl", "examples": "data.jsonl", **settings})
    )
    return file


@pytest.mark.parametrize("name", TASKS)
def test_a_prompted_task_has_the_metrics_of_the_task(name: str, tmp_path: Path) -> None:
    asked = read_prompted_task(write(tmp_path, name, RECORDS[name]))
    task = asked.task
    first = task.questions[0]
    assert task.prompt(first, ()) == PROMPTS[name]
    assert task.prompt(first, task.examples[1:]).count(task.examples[1].answers[0]) >= 1
    right = [question.answers[0] for question in task.questions]
    if first.choices:
        rows = [[float(choice == answer) * 9 for choice in task.choices] for answer in right]
        result = Result(0, tuple(right), np.ones(2), tuple(map(np.array, rows)))
    else:
        result = Result(0, tuple(right), np.ones(2))
    scores = {metric: estimate.value for metric, estimate in asked.score(result).items()}
    errors = [scores.pop(metric) for metric in [*scores] if "error" in metric]
    assert all(0 <= error < 0.6 for error in errors)
    assert TASKS[name].choose_by in scores
    assert scores.keys() <= set(TASKS[name].metrics)
    if name == "typing":  # one type is chosen of the two
        assert scores["loose_micro_precision"] == 1
        assert scores["strict"] == 0.5
    else:
        assert [*scores.values()] == pytest.approx([1.0] * len(scores))


def test_prompted_tagging_answers_are_written_and_parsed(tmp_path: Path) -> None:
    records = [
        *RECORDS["tagging"],
        {"tokens": ["Io", "and", "Io"], "ner_tags": ["B-moon", "O", "B-moon"]},
    ]
    asked = read_prompted_task(write(tmp_path, "tagging", records, words={"moon": "satellite"}))
    written = [question.answers[0] for question in asked.task.questions]
    assert written == ["Io (satellite); New York (city)", "none", "Io (satellite); Io (satellite)"]
    half = ("io (satellite); Rome (city); of (thing)", "Nothing (city)", "Io (satellite)")
    scores = asked.score(Result(0, half, np.zeros(3)))
    # 4 spans given, 3 found that stand in the texts and have a type, 2 of them right
    assert scores["span_recall"].value == pytest.approx(2 / 4)
    assert scores["span_precision"].value == pytest.approx(2 / 3)


def test_prompted_text_to_text_repeats_input_and_target(tmp_path: Path) -> None:
    records = [{"text": "1 + 1 =", "target": "2"}, {"text": "2 + 2 =", "target": "4"}]
    asked = read_prompted_task(write(tmp_path, None, records))
    task = asked.task
    assert task.prompt(task.questions[0], task.examples[1:]) == "2 + 2 =\n4\n\n1 + 1 ="
    assert not task.questions[0].choices
    assert asked.score(Result(1, ("2", "5"), np.array([1.0, 0.0])))["exact_match"].value == 0.5


def test_prompt_words_templates_and_limits_can_be_set(tmp_path: Path) -> None:
    settings = {
        "words": {"bad_one": "no"},
        "instruction": "Good?",
        "template": "{text} - {answer}",
        "max_questions": 1,
        "longest_example": 10,
    }
    task = read_prompted_task(write(tmp_path, "classification", RECORDS["classification"], **settings)).task
    assert (len(task.questions), task.choices) == (1, ("no", "good"))
    assert [example.given["text"] for example in task.examples] == ["Too long."]
    assert task.prompt(task.questions[0], task.examples).startswith("Good?\n\nToo long. - no\n\n")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"words": {"good": "x", "bad_one": "x"}}, "two labels have the same word"),
        ({"task": "clasification"}, "classification"),
        ({"questions": "nowhere.jsonl"}, "no such file"),
        ({"template": "{answer} it is"}, "has to end with"),
    ],
)
def test_invalid_prompt_settings_are_rejected(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    file = write(tmp_path, "classification", RECORDS["classification"], **settings)
    with pytest.raises((ConfigError, ValueError), match=message):
        read_prompted_task(file)
