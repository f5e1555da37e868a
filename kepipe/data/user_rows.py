"""Rows from a user's file: texts in sentences, and labelled pairs of texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kepipe.arrays import Ints
from kepipe.data.alignment import tokenise
from kepipe.data.document import Document, Span
from kepipe.data.document_files import from_record, held_out
from kepipe.data.examples import Examples
from kepipe.data.line_readers import json_lines
from kepipe.data.pairs import Sides, pair_up, truncate
from kepipe.data.shards import Shard
from kepipe.tokenization.tokenizer import Tokenizer
from kg.problems import Problems


class Pair(NamedTuple):
    """Two texts and their label."""

    first: str
    second: str
    label: str


def read_texts(file: Path) -> Iterator[Document]:
    """JSON lines `{"sentences": ["…", …]}`, or documents of a corpus. Raises ValueError with file and line."""
    for number, record in json_lines(file, Problems(strict=True)):
        try:
            yield from_record(_joined(record), f"{file.stem}:{number}")
        except ValueError as error:
            raise ValueError(f"{file}:{number}: {error}") from None


def _joined(record: Any) -> Any:
    """Sentences → a text and their spans."""
    sentences = record.get("sentences") if isinstance(record, dict) else None
    if not isinstance(sentences, list) or not sentences or not all(isinstance(s, str) for s in sentences):
        return record
    ends = np.cumsum([len(sentence) + 1 for sentence in sentences]).tolist()
    spans = [Span(end - 1 - len(text), end - 1) for end, text in zip(ends, sentences, strict=True)]
    return {**record, "text": " ".join(sentences), "sentences": spans}


def read_pairs(file: Path) -> Iterator[tuple[str, Pair]]:
    """The id and the pair of each line of JSON lines `{"text_a": "…", "text_b": "…", "label": "…"}`. Raises ValueError
    with file and line."""
    for number, record in json_lines(file, Problems(strict=True)):
        values = [
            record.get(name) if isinstance(record, dict) else None for name in ("text_a", "text_b", "label")
        ]
        if not all(isinstance(value, str) and value.strip() for value in values):
            raise ValueError(f"{file}:{number}: expected `text_a`, `text_b` and `label`, each a string")
        yield f"{file.stem}:{number}", Pair(*map(str, values))


def labels_of(file: Path) -> tuple[str, ...]:
    """The labels in a file of pairs, sorted."""
    return tuple(sorted({pair.label for _, pair in read_pairs(file)}))


def text_shard(file: Path, tokenizer: Tokenizer, *, evaluation: bool) -> Shard:
    """The texts of a file as a shard in memory: those for training, or those held out."""
    documents = [document for document in read_texts(file) if held_out(document.id) == evaluation]
    return _shard(file, documents, tokenizer)


def pair_rows(
    file: Path,
    tokenizer: Tokenizer,
    labels: Sequence[str],
    length: int,
    rng: np.random.Generator,
    *,
    evaluation: bool,
) -> tuple[Shard, Examples, Ints]:
    """A shard in memory, rows `[CLS] a [SEP] b [SEP]` of it for a file's training or held-out pairs, and their indices
    in `labels`, int [rows]. Raises ValueError for a label that is none of `labels`."""
    pairs = [(id, pair) for id, pair in read_pairs(file) if held_out(id) == evaluation]
    for id, pair in pairs:
        if pair.label not in labels:
            place = id.rpartition(":")[2]
            raise ValueError(
                f"{file}:{place}: unknown label {pair.label!r}; expected one of {', '.join(labels)}"
            )
    texts = [Document(id, text) for id, pair in pairs for text in (pair.first, pair.second)]
    shard, sizes = _shard(file, texts, tokenizer), _sizes(texts, tokenizer)
    ends = np.cumsum(sizes)
    sides = Sides((ends - sizes)[::2], ends[::2], (ends - sizes)[1::2], ends[1::2])
    numbers = np.array([labels.index(pair.label) for _, pair in pairs], np.int64)
    return shard, pair_up(truncate(sides, length - 3, rng)), numbers


def _sizes(texts: Sequence[Document], tokenizer: Tokenizer) -> Ints:
    return tokenizer.encode([document.text for document in texts]).lengths


def _shard(file: Path, documents: Sequence[Document], tokenizer: Tokenizer) -> Shard:
    if not documents:
        raise ValueError(
            f"{file}: no line for this split: a tenth of the lines, chosen by a hash of their numbers, is held out, "
            "the rest is for training"
        )
    columns = tokenise(documents, tokenizer, lambda _: -1)
    return Shard(file, columns.tokens, columns.bounds, np.full(len(columns.tokens), -1, np.int32))
