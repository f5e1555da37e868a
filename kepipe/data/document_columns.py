"""Documents as columns in a file of arrays, which opens without parsing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, Self, TypeVar
from zipfile import BadZipFile

import numpy as np

from kepipe.arrays import Floats, Ints
from kepipe.data.document import Document, Mention, Span, Turn
from kepipe.files import replacing
from kg.columns import Column, Strings, offsets

Item = TypeVar("Item")
Arrays = Mapping[str, Column]
"""Name → array."""


def save_arrays(file: Path, arrays: Arrays) -> None:
    """Write arrays atomically as one file (`.npz`); `open_arrays` detects damage by a power cut."""
    with replacing(file, durable=False) as unfinished, unfinished.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def open_arrays(file: Path, names: Sequence[str] = ()) -> Arrays | None:
    """The arrays that `save_arrays` wrote, or those of these names; None if the file is missing or damaged."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in names or stored.files}
    except (FileNotFoundError, KeyError, ValueError, EOFError, BadZipFile):
        return None


def strings(texts: Iterable[str]) -> Strings:
    """Concatenated texts, decoded lazily."""
    texts = list(texts)
    together = "".join(texts)
    # In ASCII, one character is one byte.
    lengths = map(len, texts if together.isascii() else map(str.encode, texts))
    return Strings(offsets(np.fromiter(lengths, np.int64, len(texts))), together.encode())


def string_arrays(name: str, texts: Strings) -> dict[str, Column]:
    """Strings as arrays for `save_arrays`."""
    data = b"".join(texts.encoded())
    return {f"{name}.starts": texts.starts, f"{name}.utf8": np.frombuffer(data, np.uint8)}


def open_strings(arrays: Arrays, name: str) -> Strings:
    """The strings of `string_arrays`."""
    return Strings(arrays[f"{name}.starts"], arrays[f"{name}.utf8"].tobytes())


@dataclass(frozen=True)
class Rows:
    """N rows of integers that belong to D documents: `values` [N, width]; `counts` [D], rows of each document."""

    values: Ints
    counts: Ints

    @classmethod
    def of(cls, documents: Iterable[Sequence[Sequence[int]]], width: int = 2) -> Self:
        """The rows of each document."""
        groups = list(documents)
        counts = np.fromiter(map(len, groups), np.int64, len(groups))
        flat = chain.from_iterable(chain.from_iterable(groups))
        return cls(np.fromiter(flat, np.int64, width * counts.sum()).reshape(-1, width), counts)

    def items(self, make: Callable[..., Item], *fields: Iterable[Any]) -> Iterator[tuple[Item, ...]]:
        """For each document, `make(*row, *fields)` for each of its rows."""
        items = list(map(make, *self.values.T.tolist(), *fields))
        return (tuple(items[start:end]) for start, end in pairwise(offsets(self.counts).tolist()))

    def arrays(self, name: str) -> dict[str, Column]:
        """The rows as arrays for `save_arrays`."""
        return {name: self.values, f"{name}.counts": self.counts}

    @classmethod
    def open(cls, arrays: Arrays, name: str) -> Self:
        """The rows of `arrays`."""
        return cls(arrays[name], arrays[f"{name}.counts"])


@dataclass(frozen=True)
class Links:
    """N mentions of D documents: `spans`, and the entity and score of each mention [N]."""

    spans: Rows
    entities: Strings
    scores: Floats

    @classmethod
    def of(cls, documents: Sequence[Sequence[Mention]]) -> Self:
        """The mentions of each document."""
        mentions = list(chain.from_iterable(documents))
        return cls(
            Rows.of([[(mention.start, mention.end) for mention in document] for document in documents]),
            strings(mention.entity for mention in mentions),
            np.array([mention.score for mention in mentions], dtype=np.float64),
        )

    def mentions(self) -> Iterator[tuple[Mention, ...]]:
        """The mentions of each document."""
        return self.spans.items(Mention, self.entities, self.scores.tolist())

    def arrays(self, name: str) -> dict[str, Column]:
        """The mentions as arrays for `save_arrays`."""
        return {
            **self.spans.arrays(name),
            **string_arrays(f"{name}.entities", self.entities),
            f"{name}.scores": self.scores,
        }

    @classmethod
    def open(cls, arrays: Arrays, name: str) -> Self:
        """The mentions of `arrays`."""
        return cls(
            Rows.open(arrays, name), open_strings(arrays, f"{name}.entities"), arrays[f"{name}.scores"]
        )


@dataclass(frozen=True)
class DocumentColumns:
    """D documents, field by field; fields as in `Document`."""

    ids: Strings
    texts: Strings
    titles: Strings
    sentences: Rows
    phrases: Rows
    turns: Rows
    mentions: Links
    gold: Links

    @classmethod
    def of(cls, documents: Sequence[Document]) -> Self:
        """The columns of documents."""
        return cls(
            strings(document.id for document in documents),
            strings(document.text for document in documents),
            strings(document.title for document in documents),
            Rows.of(document.sentences for document in documents),
            Rows.of(document.phrases for document in documents),
            Rows.of((document.turns for document in documents), width=3),
            Links.of([document.mentions for document in documents]),
            Links.of([document.gold for document in documents]),
        )

    def __len__(self) -> int:
        return len(self.ids)

    def documents(self) -> Iterator[Document]:
        """The documents from which the columns were built."""
        return map(
            Document, self.ids, self.texts, self.titles, self.sentences.items(Span), self.phrases.items(Span),
            self.mentions.mentions(), self.gold.mentions(), self.turns.items(Turn),
        )  # fmt: skip

    def arrays(self, name: str = "") -> dict[str, Column]:
        """The columns as arrays for `save_arrays`; `name` is a prefix of their names."""
        columns: dict[str, Column] = {}
        for field in ("ids", "texts", "titles"):
            columns |= string_arrays(name + field, getattr(self, field))
        for field in ("sentences", "phrases", "turns", "mentions", "gold"):
            columns |= getattr(self, field).arrays(name + field)
        return columns

    @classmethod
    def open(cls, arrays: Arrays, name: str = "") -> Self:
        """The columns of `arrays`."""
        ids, texts, titles = (open_strings(arrays, name + field) for field in ("ids", "texts", "titles"))
        sentences, phrases, turns = (
            Rows.open(arrays, name + field) for field in ("sentences", "phrases", "turns")
        )
        mentions, gold = (Links.open(arrays, name + field) for field in ("mentions", "gold"))
        return cls(ids, texts, titles, sentences, phrases, turns, mentions, gold)
