"""Answers without a model, and several correct answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from kepipe.finetuning.examples import Example
from kepipe.finetuning.text_baselines import baseline_answers, first_words
from kepipe.finetuning.text_to_text import TASK, measure, read
from kg.problems import Problems


def example(text: str, *targets: str) -> Example:
    return Example(text, text, labels=targets)


def test_baselines_are_the_most_frequent_target_and_the_first_words() -> None:
    train = [
        example("a", "New York"),
        example("b", "Oslo"),
        example("c", "Oslo"),
        example("d", "San José", "SJ"),
    ]
    found = baseline_answers(train, [example("“Rome”, a city", "x"), example("...", "x")])
    assert found == {"most_frequent": ["Oslo", "Oslo"], "first_words": ["Rome", "..."]}


@pytest.mark.parametrize(
    ("text", "number", "expected"),
    [("(The) old town. Then", 3, "The) old town"), ("罗马是首都", 2, "罗马"), ("one", 4, "one")],
)
def test_first_words_of_a_text(text: str, number: int, expected: str) -> None:
    assert first_words(text, number) == expected


def test_exact_match_and_f1_accept_aliases_and_rouge_the_target_alone() -> None:
    golds = [example("q", "United Kingdom", "UK", "Great Britain")]
    scores = {name: metric.score for name, metric in measure(golds, ["Great Britain"], ()).items()}
    assert (scores["exact_match"], scores["token_f1"], scores["rouge_1"]) == (1, 1, 0)
    assert TASK.as_record(golds[0], "the UK", ()) == {"predicted": "the UK", "right": True}
    assert TASK.as_record(golds[0], "Kingdom", ()) == {"predicted": "Kingdom", "right": False}
    assert TASK.as_record(example("q", "UK"), "UK", ()) == {"predicted": "UK"}


def test_aliases_are_read_from_json_lines(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(
        '{"text": "a", "target": "b", "aliases": ["c", "b", " "]}\n{"text": "a", "target": "b", "aliases": "c"}\n'
    )
    problems = Problems()
    assert [one.labels for one in read(file, problems)] == [("b", "c")]
    assert "`aliases`: expected a list of texts" in problems.summary()
