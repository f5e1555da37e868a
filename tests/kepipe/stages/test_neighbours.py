from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kepipe.data.document_files import read_documents
from kepipe.stages.artifacts import Corpus
from kepipe.stages.neighbours import NEIGHBOURS, NeighboursConfig
from tests.support.conflicts import error_message
from tests.support.stages import run_stage

EXAMPLES = ["The drug blocks the enzyme.", "The enzyme is blocked by aspirin."]
POOL = [
    "We gave it to mice. The drug blocks the enzyme in them.",
    "The film has a good plot. Its actors are bad.",
    "An enzyme is blocked by aspirin too.",
]


def corpus(folder: Path, texts: list[str]) -> Corpus:
    folder.mkdir()
    lines = (json.dumps({"id": f"{folder.name}-{number}", "text": text}) for number, text in enumerate(texts))
    (folder / "documents.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "corpus.json").write_text('{"held_out_share": 0.1}')
    return Corpus(folder, "digest")


def chosen(tmp_path: Path, **settings: Any) -> list[str]:
    if not (tmp_path / "pool").exists():
        corpus(tmp_path / "pool", POOL)
        corpus(tmp_path / "examples", EXAMPLES)
    inputs = NEIGHBOURS.inputs(Corpus(tmp_path / "pool", ""), Corpus(tmp_path / "examples", ""))
    run_stage(NEIGHBOURS, inputs, NeighboursConfig.model_validate(settings), tmp_path / "work")
    return [document.text for document in read_documents(tmp_path / "work" / "out" / "documents.jsonl")]


def test_nearest_sentences_are_added_to_the_task_texts(tmp_path: Path) -> None:
    near = ["The drug blocks the enzyme in them.", "An enzyme is blocked by aspirin too."]
    assert chosen(tmp_path, k=1) == [*EXAMPLES, *near]
    assert chosen(tmp_path, k=1, with_examples=False) == near
    report = json.loads((tmp_path / "work" / "out" / "corpus.json").read_text())
    assert (report["documents"], report["held_out_share"]) == (2, 0.1)


def test_nearest_documents_up_to_a_maximum(tmp_path: Path) -> None:
    assert chosen(tmp_path, k=3, unit="document", most=1, with_examples=False) == [POOL[2]]


def test_nearest_by_encoder_vectors(tmp_path: Path) -> None:
    found = chosen(tmp_path, by="encoder", encoder="minilm", k=1, with_examples=False)
    assert found
    assert not any("film" in text or "actors" in text for text in found)


def test_random_neighbours_are_a_seeded_control(tmp_path: Path) -> None:
    drawn = chosen(tmp_path, by="random", most=3, with_examples=False)
    assert len(drawn) == 3
    assert chosen(tmp_path, by="random", most=3, with_examples=False) == drawn


def test_encoder_setting_is_required_only_by_encoder(tmp_path: Path) -> None:
    stages = (
        "  pool: {use: corpus}\n  text: {use: corpus}\n"
        "  near: {use: neighbours, inputs: {corpus: pool, examples: text}, "
    )
    assert "near.encoder" in error_message(tmp_path, f"{stages}by: encoder}}\n")
    assert "near.encoder" in error_message(tmp_path, f"{stages}encoder: minilm}}\n")
    assert error_message(tmp_path, f"{stages}by: encoder, encoder: minilm}}\n") == ""
