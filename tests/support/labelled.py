"""Small texts as shards, and rows as text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from kepipe.data.alignment import tokenise
from kepipe.data.document import Document, Span
from kepipe.data.examples import Examples
from kepipe.data.row_batches import RowShape, SpecialTokens, gather
from kepipe.data.shards import Shard, ShardWriter, open_shard
from kepipe.objectives.ernie2.labelled import Text
from kepipe.tokenization.tokenizer import Tokenizer, load_tokenizer


@cache
def minilm() -> Tokenizer:
    return load_tokenizer("minilm")


def document(sentences: Sequence[str], id: str = "d", title: str = "", between: str = " ") -> Document:
    """A document of these sentences."""
    ends = np.cumsum([len(sentence) + len(between) for sentence in sentences]).tolist()
    spans = tuple(
        Span(end - len(between) - len(text), end - len(between))
        for end, text in zip(ends, sentences, strict=True)
    )
    return Document(id, between.join(sentences), title, spans)


def shard_of(folder: Path, documents: Sequence[Document], tokenizer: Tokenizer | None = None) -> Shard:
    """The documents as a shard, of MiniLM's tokens unless another tokenizer is given."""
    tokenizer = tokenizer or minilm()
    with ShardWriter(folder, tokenizer.vocab_size) as writer:
        columns = tokenise(documents, tokenizer, lambda _: 0)
        writer.append(columns, (d.id for d in documents), (d.title for d in documents))
        writer.finish()
    return open_shard(folder)


def segment_texts(shard: Shard, examples: Examples, tokenizer: Tokenizer | None = None) -> list[list[str]]:
    """The segments of each row, as text."""
    tokenizer = tokenizer or minilm()
    rows = gather(
        shard, examples, np.arange(len(examples)), SpecialTokens(tokenizer.pad, tokenizer.cls, tokenizer.sep)
    )
    return [segments(tokens, tokenizer) for tokens in rows.tokens]


def segments(tokens: Any, tokenizer: Tokenizer) -> list[str]:
    """The text before each [SEP] of a row."""
    ids = [int(token) for token in tokens if token != tokenizer.pad]
    text = tokenizer.backend.decode(ids, skip_special_tokens=False)
    return [segment.strip() for segment in text.removeprefix("[CLS]").split("[SEP]")[:-1]]


def text_of(shard: Shard, length: int = 64, *, evaluation: bool = False) -> Text:
    """The row stream of objectives: batches of 512 tokens."""
    return Text(shard, minilm(), RowShape(length, 512, begin=True, seed=0), evaluation)
