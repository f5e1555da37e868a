"""Warnings about a task's files before training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kepipe.finetuning.inspection import inspect
from kepipe.finetuning.settings import FinetuneConfig

TRAIN = [("good", f"a fine day number {number}") for number in range(10)] + [("bad", "rain and wind")]


def table(file: Path, rows: list[tuple[str, str]]) -> Path:
    file.write_text("label\ttext_a\n" + "".join(f"{label}\t{text}\n" for label, text in rows))
    return file


def warnings(train: Path, task: str = "classification", **splits: Path) -> list[str]:
    data = {"train": str(train), **{split: str(file) for split, file in splits.items()}}
    return list(inspect(FinetuneConfig.model_validate({"task": task, "data": data})))


def test_valid_data_gives_no_warning(tmp_path: Path) -> None:
    test = table(tmp_path / "test.tsv", [("good", "sun"), ("bad", "fog")])
    assert warnings(table(tmp_path / "train.tsv", TRAIN), test=test) == []


def test_overlap_identical_splits_and_unknown_labels_give_warnings(tmp_path: Path) -> None:
    train = table(tmp_path / "train.tsv", TRAIN)
    same = table(tmp_path / "same.tsv", TRAIN)
    some = table(tmp_path / "some.tsv", [*TRAIN[:2], ("good", "sun"), ("worse", "fog")])
    warnings_ = warnings(train, dev=same, test=some)
    assert len(warnings_) == 3
    assert f"`data.dev`: all 11 examples of {same} are also in {train}" in warnings_[0]
    assert "`data.test`: 2 of 4 examples" in warnings_[1]
    assert warnings_[2] == "`data.test`: labels that are not in the training data: 'worse'"


def test_missing_columns_and_empty_files_give_warnings(tmp_path: Path) -> None:
    other = tmp_path / "other.tsv"
    other.write_text("sentiment\tsentence\n1\tfine\n")
    (warning,) = warnings(other)
    assert "`data.train`" in warning
    assert "label" in warning
    (warning,) = warnings(table(tmp_path / "empty.tsv", []))
    assert "has no example of classification" in warning


def test_json_lines_with_tokens_and_tags_are_tagging_data(tmp_path: Path) -> None:
    train = tmp_path / "train.jsonl"
    lines = [
        {"tokens": ["Ann", "saw", "Oslo"], "ner_tags": ["B-PER", "O", "B-CITY"]},
        {"tokens": ["A"], "tags": ["O"]},
    ]
    train.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert warnings(train, "tagging") == []
    numbers = tmp_path / "numbers.jsonl"
    numbers.write_text(json.dumps({"tokens": ["Ann", "saw"], "ner_tags": [1, 0]}) + "\n")
    (warning,) = warnings(numbers, "tagging")
    assert "`ner_tags` has numbers: use label names" in warning


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The old town lies on the river.", "en"),
        ("我们在Windows系统上工作了很长时间，大家都很高兴吧。", "zh"),
        ("12 34", None),
    ],
)
def test_language_of_a_text_is_detected(text: str, language: str | None) -> None:
    from kepipe.data.script import language_of

    assert language_of([text]) == language
