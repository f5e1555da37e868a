"""A small text with entities in every sentence, and settings for pretraining on it in a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kepipe.data.document import Document, Mention, Span
from kepipe.data.document_files import write_documents
from kepipe.stages.artifacts import Linked, Shards
from kepipe.stages.shards import SHARDS
from tests.support.toy_training import context_in

NAMES = ["river", "old", "stone", "high", "castle", "town", "bridge", "market", "hill"]
WORDS = ["the", "near", "large", "small", "lies", "north", "south", "east", "of", "in", "with", "and"]
TINY = {"layers": 1, "hidden": 32, "heads": 2}
SMALL: dict[str, Any] = {
    "base": TINY,
    "steps": 6,
    "batch_tokens": 512,
    "length": 32,
    "eval_tokens": 512,
    "precision": "fp32",
}


def document(number: int, rng: np.random.Generator) -> Document:
    """Ten sentences of nine words; each begins with a name of two words."""
    text, sentences, mentions = "", [], []
    for _ in range(10):
        name = f"{NAMES[rng.integers(0, 5)]} {NAMES[rng.integers(5, 9)]}"
        start = len(text)
        text += f"{name} {' '.join(rng.choice(WORDS, 7))} . "
        sentences.append(Span(start, len(text) - 1))
        mentions.append(Mention(start, start + len(name), f"Q{len(name)}"))
    return Document(f"d{number}", text, sentences=tuple(sentences), mentions=tuple(mentions))


def write_shards(root: Path, held_out: float = 0.1, **tokenizer: Any) -> Shards:
    """The output of the stage `shards` in `root` for forty documents. `tokenizer`: its settings."""
    root.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    write_documents(root / "documents.jsonl", (document(n, rng) for n in range(40)))
    (root / "corpus.json").write_text(f'{{"held_out_share": {held_out}}}')
    context = context_in(root / "work")
    config = SHARDS.config.model_validate({"tokenizer": {"size": 320} | tokenizer})
    SHARDS.run(SHARDS.inputs(Linked(root, "")), config, context)
    return Shards(context.out, "digest")
