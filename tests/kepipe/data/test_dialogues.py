"""Dialogues: input formats, tokens, and rows of three turns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kepipe.data.alignment import tokenise
from kepipe.data.batch import TokenRows
from kepipe.data.dialogues import plan_dialogues
from kepipe.data.document import Document, Turn
from kepipe.data.document_files import from_record, read_documents, write_documents
from kepipe.data.examples import Examples
from kepipe.data.formats import plan
from kepipe.data.row_batches import SpecialTokens, gather
from kepipe.data.shards import Shard, ShardWriter, open_shard
from kepipe.tokenization.tokenizer import load_tokenizer

ANN, BOB = {"speaker": "Ann"}, {"speaker": "Bob"}
TOKENIZER = load_tokenizer("minilm")
FRAME = SpecialTokens(TOKENIZER.pad, TOKENIZER.cls, TOKENIZER.sep)


def shard_of(dialogues: list[Any], folder: Path) -> Shard:
    documents = [from_record({"turns": turns}, f"d{n}") for n, turns in enumerate(dialogues)]
    with ShardWriter(folder, TOKENIZER.vocab_size) as writer:
        writer.append(tokenise(documents, TOKENIZER, lambda _: 0), (d.id for d in documents))
        writer.finish()
    return open_shard(folder)


def rows_of(shard: Shard, examples: Examples) -> TokenRows:
    return gather(shard, examples, np.arange(len(examples)), FRAME)


def read(tokens: Any) -> list[str]:
    """The turns of a row."""
    words = TOKENIZER.backend.decode(
        [int(t) for t in tokens if t != TOKENIZER.pad], skip_special_tokens=False
    )
    return [turn.strip() for turn in words.removeprefix("[CLS]").split("[SEP]")[:-1]]


def test_turns_are_read_with_their_roles(tmp_path: Path) -> None:
    file = tmp_path / "talk.jsonl"
    lines = [
        {"turns": ["How old are you?", "Eight."]},
        {"id": "x", "turns": [ANN | {"text": "Hi."}, ANN | {"text": "Well?"}, BOB | {"text": "So so."}]},
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    two, three = read_documents(file)
    assert (two.text, two.turns) == ("How old are you?\nEight.", (Turn(0, 16, 0), Turn(17, 23, 1)))
    assert [turn.role for turn in three.turns] == [0, 0, 1]
    assert [three.text[start:end] for start, end, _ in three.turns] == ["Hi.", "Well?", "So so."]
    write_documents(tmp_path / "again.jsonl", [two, three])
    assert list(read_documents(tmp_path / "again.jsonl")) == [two, three]


@pytest.mark.parametrize(
    ("turns", "message"),
    [
        ([], "expected a list of turns"),
        ("Hello", "expected a list of turns"),
        (["Hello", " "], "turn 2 has no text"),
        (["Hello", {"text": "Hi"}], "turn 2 needs a `speaker`"),
    ],
)
def test_invalid_turns_are_reported(turns: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_record({"turns": turns}, "d")


def test_a_row_has_three_turns_with_their_roles(tmp_path: Path) -> None:
    """QRQ, QRR and QQR as in the dialogue; the last three of five turns overlap the first three."""
    five = ["one", "two", "three", "four", "five"]
    three = [ANN | {"text": "red"}, ANN | {"text": "green"}, BOB | {"text": "blue"}]
    shard = shard_of([five, three, ["left", "right"]], tmp_path)
    # A seed under which nothing is replaced: the rows are the dialogues.
    seed = next(
        s for s in range(99) if plan_dialogues(shard, 32, np.random.default_rng(s)).next_sentence_labels.all()
    )  # type: ignore[union-attr]
    rows = rows_of(shard, plan_dialogues(shard, 32, np.random.default_rng(seed)))
    assert [read(row) for row in rows.tokens] == [
        five[:3], five[2:], ["red", "green", "blue"], ["left", "right"],
    ]  # fmt: skip
    roles = [[int(s) for s in row[~hidden]] for row, hidden in zip(rows.segments, rows.special, strict=True)]
    assert roles == [[0, 1, 0], [0, 1, 0], [0, 0, 1], [0, 1]]


def test_half_of_the_rows_have_a_turn_of_another_dialogue(tmp_path: Path) -> None:
    words = [f"{a}{b}" for a in "bdfgklmnprst" for b in ("ar", "en", "ip", "ot", "ug")]
    dialogues = [[words[3 * n + turn] for turn in range(3)] for n in range(20)]
    shard = shard_of(dialogues, tmp_path)
    real, places = [], []
    for seed in range(40):
        rows = rows_of(shard, plan_dialogues(shard, 32, np.random.default_rng(seed)))
        assert rows.next_sentence_labels is not None
        real.append(rows.next_sentence_labels)
        for row, follows, own in zip(rows.tokens, rows.next_sentence_labels, dialogues, strict=True):
            turns = read(row)
            strange = [n for n in range(3) if turns[n].replace(" ", "") != own[n]]
            assert len(strange) == 1 - follows
            assert all(turns[n] not in own for n in strange)
            places += strange
    assert abs(np.concatenate(real).mean() - 0.5) < 0.06, "800 tosses: a deviation is 0.018"
    assert abs(np.bincount(places) / len(places) - 1 / 3).max() < 0.1


def test_long_turns_are_truncated_longest_first(tmp_path: Path) -> None:
    long, short = " ".join(["word"] * 50), "word word"
    shard = shard_of([[long, short, long]] * 2, tmp_path)
    examples = plan(shard, "dialogue", 26)
    assert examples.lengths.max() <= 26
    sizes = (examples.stops - examples.starts).reshape(2, 3)
    assert (np.sort(sizes, axis=1) == [2, 10, 10]).all() or (sizes == 7).any()
    whole = plan(shard, "dialogue", 120)
    assert whole.lengths.min() >= 50


def test_a_corpus_without_dialogues_is_an_error(tmp_path: Path) -> None:
    plain = Document("d2", "No turns here.")
    talk = from_record({"turns": ["Hi", "Ho"]}, "d1")
    with ShardWriter(tmp_path, TOKENIZER.vocab_size) as writer:
        writer.append(tokenise([talk, plain], TOKENIZER, lambda _: 0), ["d1", "d2"])
        writer.finish()
    with pytest.raises(ValueError, match="1 of 2 documents have no `turns`"):
        plan(open_shard(tmp_path), "dialogue", 32)
