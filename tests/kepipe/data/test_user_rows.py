"""Rows from a user's files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kepipe.data.user_rows import labels_of, pair_rows, read_texts, text_shard
from tests.support.labelled import minilm, segment_texts


def write(file: Path, records: list[Any]) -> Path:
    file.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return file


def test_pairs_of_a_file_are_split_into_training_and_held_out(tmp_path: Path) -> None:
    records = [
        {"text_a": f"first {n}", "text_b": f"second {n}", "label": ["yes", "no"][n % 2]} for n in range(40)
    ]
    file = write(tmp_path / "pairs.jsonl", records)
    assert labels_of(file) == ("no", "yes")
    found = []
    for evaluation in (False, True):
        shard, examples, numbers = pair_rows(
            file, minilm(), ("no", "yes"), 16, np.random.default_rng(0), evaluation=evaluation
        )
        rows = segment_texts(shard, examples)
        found.append(rows)
        for (first, second), number in zip(rows, numbers.tolist(), strict=True):
            n = int(first.split()[1])
            assert (first, second) == (f"first {n}", f"second {n}")
            assert number == 1 - n % 2
    assert len(found[0]) + len(found[1]) == 40
    assert 1 <= len(found[1]) <= 10


def test_sentences_of_a_file_keep_their_spans(tmp_path: Path) -> None:
    file = write(
        tmp_path / "texts.jsonl", [{"sentences": ["Io is hot.", "Mars is red."]}, {"text": "One. Two."}]
    )
    one, other = read_texts(file)
    assert [one.text[span.start : span.end] for span in one.sentences] == ["Io is hot.", "Mars is red."]
    assert (other.text, other.sentences) == ("One. Two.", ())
    shard = text_shard(file, minilm(), evaluation=False)
    assert len(shard.documents) == 3
    assert len(shard.sentences) == 4


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([{"text_a": "a", "text_b": "b"}], r"pairs.jsonl:1: expected `text_a`, `text_b` and `label`"),
        (
            [{"text_a": "a", "text_b": "b", "label": "maybe"}],
            r"pairs.jsonl:1: unknown label 'maybe'; expected one of no, yes",
        ),
        ([], "no line for this split"),
    ],
)
def test_errors_have_a_line_number(tmp_path: Path, records: list[Any], message: str) -> None:
    file = write(tmp_path / "pairs.jsonl", records)
    with pytest.raises(ValueError, match=message):
        pair_rows(file, minilm(), ("no", "yes"), 16, np.random.default_rng(0), evaluation=False)
