"""The tasks of ERNIE 2.0 on their own rows: from the text, from a user's file; what is rejected."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kepipe.data.shards import Shard
from kepipe.models.assemble import with_label_heads
from kepipe.models.base import Base, build
from kepipe.objectives import table
from kepipe.objectives.batches import CorruptedBatches, held_out_batches
from kepipe.tokenization.training import train_tokenizer
from tests.support.labelled import document, minilm, shard_of, text_of

LABELS = {
    "capitalisation": 2,
    "token-document": 2,
    "sentence-reordering": 9,
    "sentence-distance": 3,
    "discourse-relation": 4,
    "ir-relevance": 3,
}
PAIRS = ("sentence-distance", "discourse-relation", "ir-relevance")
MIXTURE = {
    "name": "mixture",
    "tasks": True,
    "schedule": "sequential",
    "of": [{"objective": name} for name in ("mlm", *LABELS)],
}


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> Shard:
    """Documents about the same few things."""
    rng = np.random.default_rng(0)
    names, begins = ["Io", "Mars", "Rome", "Nile"], ["", "However, ", "Therefore, ", "For example, ", "Then "]

    def sentence() -> str:
        return f"{rng.choice(begins)}{rng.choice(names)} is near {rng.choice(names)} in {rng.choice(names)}."

    documents = [
        document([sentence() for _ in range(12)], f"d{n}", title=names[n % 4] if n % 3 else "")
        for n in range(12)
    ]
    return shard_of(tmp_path_factory.mktemp("labelled"), documents)


def rows_must_not_be_asked(_number: int) -> Any:
    raise AssertionError("the objective has rows of its own")


@pytest.mark.parametrize("name", LABELS)
def test_ernie2_objective_makes_labelled_rows_of_the_text(shard: Shard, name: str) -> None:
    section = table.read(name)
    assert section.label_heads() == {name: LABELS[name]}
    learned = table.build(section, minilm(), text=text_of(shard))
    batches = CorruptedBatches(rows_must_not_be_asked, learned, 0)
    model = with_label_heads(
        build(Base(family="bert", layers=1, hidden=32, heads=2), minilm().vocab_size, 0),
        section.label_heads(),
        0,
    )
    seen = set()
    for number in range(4):
        batch = batches(number, 0.0)
        assert batch.labels is not None
        seen |= set(batch.labels.tolist())
        losses = learned.criterion(model, batch)
        assert losses["label"].isfinite()
        assert torch.equal(batch.tokens, batches(number, 0.5).tokens)
    assert seen <= set(range(LABELS[name]))
    assert len(seen) > 1


def test_ernie2_mixture_trains_each_objective_on_its_rows_with_task_ids(shard: Shard) -> None:
    section = table.read(MIXTURE)
    learned = table.build(section, minilm(), text=text_of(shard))
    mlm = text_of(shard)
    examples = table.build(table.read("capitalisation"), minilm(), text=mlm).rows
    assert examples is not None
    batches = CorruptedBatches(examples.__getitem__, learned, 0)
    for part in range(7):
        batch = batches(part, (part + 0.5) / 7)
        assert batch.objective_id == part
        assert batch.tasks is not None
        assert (batch.tasks == part).all()
        assert learned.criterion.counts(batch).keys() == {
            name for name in (*learned.criterion.terms, *learned.criterion.metrics)
            if name.startswith(f"{('mlm', *LABELS)[part]}.") and not name.endswith("nsp")
        }  # fmt: skip
    measured = held_out_batches(learned, examples.__getitem__, 2)
    assert sorted({batch.objective_id for batch in measured}) == list(range(7))
    assert section.label_heads() == LABELS
    assert section.num_segments(pairs=False) == 2


def write(file: Path, records: list[Any]) -> Path:
    file.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return file


@pytest.mark.parametrize("name", LABELS)
def test_ernie2_objective_reads_a_file_instead_of_the_text(shard: Shard, tmp_path: Path, name: str) -> None:
    labels = {
        "sentence-distance": ["adjacent", "same-document", "other-document"],
        "discourse-relation": ["cause", "contrast"],
        "ir-relevance": ["strong", "weak", "none"],
    }
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
    if name in PAIRS:
        its = labels[name]
        records: list[Any] = [
            {"text_a": f"left {word}", "text_b": "right", "label": its[n % len(its)]}
            for n, word in enumerate(words)
        ]
    else:
        records = [{"sentences": [f"{word} Berlin here.", "There it is.", "Berlin again."]} for word in words]
    file = write(tmp_path / "own.jsonl", records)
    section = table.read({"name": name, "file": str(file)})
    assert section.files() == (file,)
    if name == "discourse-relation":
        assert section.label_heads() == {name: 2}
    learned = table.build(section, minilm(), text=text_of(shard, 12 if name == "token-document" else 16))
    batch = learned.batch(0, rows_must_not_be_asked, np.random.default_rng(0), 0.0)
    text = minilm().decode(batch.tokens.ravel().tolist())
    assert ("left" if name in PAIRS else "berlin") in text
    assert "mars" not in text


def test_rows_of_the_text_have_the_ids_of_its_entities_and_those_of_a_file_none(
    shard: Shard, tmp_path: Path
) -> None:
    text = replace(text_of(shard), entity_ids=("Q1", "Q2"))
    file = write(tmp_path / "own.jsonl", [{"sentences": ["One is here.", "There it is."]}] * 12)
    for more, ids in (({}, ("Q1", "Q2")), ({"file": str(file)}, ())):
        learned = table.build(table.read({"name": "capitalisation", **more}), minilm(), text=text)
        assert learned.rows is not None
        assert learned.rows[0].entity_ids == ids


def test_capitalisation_is_rejected_for_chinese(tmp_path: Path) -> None:
    shard = shard_of(tmp_path, [document(["天下雨。", "他来了。"], between="")])
    with pytest.raises(ValueError, match="as in Chinese, which is written without: leave capitalisation out"):
        table.build(table.read("capitalisation"), minilm(), text=text_of(shard))


def test_capitalisation_is_rejected_for_cased_tokenizers(shard: Shard) -> None:
    cased = train_tokenizer(["the paris word The Paris Word"], "wordpiece", 300, False)
    with pytest.raises(ValueError, match="keeps capitals"):
        table.row_of(table.read("capitalisation")).tokens(cased)


def test_rows_of_another_objective_are_rejected(shard: Shard) -> None:
    distance = table.build(table.read("sentence-distance"), minilm(), text=text_of(shard))
    capital = table.build(table.read("capitalisation"), minilm(), text=text_of(shard))
    assert distance.rows is not None
    assert capital.rows is not None
    for learned, rows in ((capital, distance.rows[0]), (distance, capital.rows[0])):
        with pytest.raises(ValueError, match="makes rows of its own"):
            learned.collate(rows, np.random.default_rng(0), 0.0)


def test_objectives_of_one_name_with_unequal_labels_are_rejected() -> None:
    parts = [{"name": "sentence-reordering", "segments": m} for m in (2, 3)]
    section = table.read({"name": "mixture", "of": [{"objective": part} for part in parts]})
    with pytest.raises(ValueError, match="have 3 and 9 labels"):
        section.label_heads()


def test_custom_discourse_relations_need_two() -> None:
    with pytest.raises(ValueError, match="at least two relations"):
        table.read({"name": "discourse-relation", "connectives": {"cause": ["so,"]}})
    named = {"name": "discourse-relation", "connectives": {"cause": ["so,"], "contrast": ["but"]}}
    assert table.read(named).label_heads() == {"discourse-relation": 2}
