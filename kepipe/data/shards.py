"""Tokenised documents on disk: memory-mapped columns of equal length, written as a stream, read in place.

A shard is a folder: `tokens.bin` (uint16 or uint32), `bounds.bin` (uint8, bits in `kepipe.data.alignment`),
`entities.bin` (int32, row of `entities.txt`, −1 none), `ids.jsonl` and `titles.jsonl` (the id and title of one document
per line), `shard.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
import numpy.typing as npt

from kepipe.arrays import Ints, Ints32
from kepipe.data.alignment import DOCUMENT, SENTENCE, TURN, Columns
from kg.regular_files import read_json

STRETCH = 2**24
"""Number of tokens of a stream that are processed at a time."""
FILES = ("tokens.bin", "bounds.bin", "entities.bin", "ids.jsonl", "titles.jsonl")


@dataclass(frozen=True)
class Shard:
    """A stream of N tokens: `tokens`, `bounds`, `entities` [N], memory-mapped and never copied as a whole."""

    folder: Path
    tokens: npt.NDArray[Any]
    bounds: npt.NDArray[np.uint8]
    entities: Ints32

    def __len__(self) -> int:
        return len(self.tokens)

    def counts(self, vocabulary: int) -> Ints:
        """Frequencies of the tokens: int [V]."""
        parts = (self.tokens[start : start + STRETCH] for start in range(0, len(self), STRETCH))
        return sum(
            (np.bincount(part, minlength=vocabulary) for part in parts), np.zeros(vocabulary, np.int64)
        )

    @cached_property
    def documents(self) -> Ints:
        """The start of each document, then the length of the stream: int [documents + 1]."""
        return self._starts(DOCUMENT)

    @cached_property
    def sentences(self) -> Ints:
        """The start of each sentence, then the length of the stream: int [sentences + 1]."""
        return self._starts(SENTENCE)

    @cached_property
    def turns(self) -> Ints:
        """The start of each turn of a dialogue, then the length of the stream: int [turns + 1]."""
        return self._starts(TURN)

    def ids(self) -> list[str]:
        """The ids of the documents that have tokens, in order."""
        return self._lines("ids.jsonl")

    def titles(self) -> list[str]:
        """Their titles; "" for a document without one."""
        return self._lines("titles.jsonl")

    def _lines(self, name: str) -> list[str]:
        with (self.folder / name).open(encoding="utf-8") as stream:
            return [json.loads(line) for line in stream]

    def _starts(self, bit: int) -> Ints:
        return np.append(np.flatnonzero(self.bounds & bit), len(self)).astype(np.int64)


def open_shard(folder: Path) -> Shard:
    """Map a shard. Raises ValueError if the sizes of its files do not match `shard.json`."""
    try:
        about = read_json(folder / "shard.json")
        length, dtype = int(about["tokens"]), np.dtype(about["dtype"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder}: not a shard ({error})") from None
    return Shard(
        folder,
        _map(folder / "tokens.bin", dtype, length),
        _map(folder / "bounds.bin", np.dtype(np.uint8), length),
        _map(folder / "entities.bin", np.dtype(np.int32), length),
    )


def _map(file: Path, dtype: np.dtype[Any], length: int) -> npt.NDArray[Any]:
    size = file.stat().st_size if file.exists() else 0
    if size != length * dtype.itemsize:
        raise ValueError(
            f"{file}: {size} bytes where {length} tokens of {dtype} need {length * dtype.itemsize}"
        )
    return np.memmap(file, dtype=dtype, mode="r") if length else np.empty(0, dtype=dtype)


class ShardWriter:
    """Appends columns to a shard's files; `sizes()` is the state from which another writer can continue.

    Bytes beyond `sizes`, written by an attempt that was killed before it saved its progress, are cut off.
    """

    def __init__(self, folder: Path, vocab_size: int, sizes: Mapping[str, int] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.dtype = np.dtype(np.uint16 if vocab_size <= 2**16 else np.uint32)
        self._files: dict[str, IO[bytes]] = {}
        for name in FILES:
            file = (folder / name).open("ab")
            file.truncate(sizes[name] if sizes else 0)
            self._files[name] = file

    def append(self, columns: Columns, ids: Iterable[str], titles: Iterable[str] = ()) -> None:
        """Add a chunk of documents; `ids` and `titles`, if any, have one for each of `columns.documents`."""
        self._files["tokens.bin"].write(columns.tokens.astype(self.dtype).tobytes())
        self._files["bounds.bin"].write(columns.bounds.tobytes())
        self._files["entities.bin"].write(columns.entities.tobytes())
        named = {"ids.jsonl": ids, "titles.jsonl": tuple(titles) or [""] * len(columns.documents)}
        for name, values in named.items():
            lines = (
                json.dumps(value, ensure_ascii=False) + "\n"
                for value, tokens in zip(values, columns.documents, strict=True)
                if tokens
            )
            self._files[name].write("".join(lines).encode())

    def sizes(self) -> dict[str, int]:
        """Bytes of each file, after a flush."""
        for file in self._files.values():
            file.flush()
        return {name: file.tell() for name, file in self._files.items()}

    def finish(self) -> int:
        """Write `shard.json`. Returns the number of tokens."""
        tokens = self.sizes()["bounds.bin"]
        about = {"tokens": tokens, "dtype": self.dtype.name}
        (self.folder / "shard.json").write_text(json.dumps(about) + "\n")
        return tokens

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()


def holds(folder: Path, sizes: Mapping[str, int]) -> bool:
    """Whether the files exist with at least these sizes, so that a writer can continue."""
    return all((folder / name).exists() and (folder / name).stat().st_size >= sizes[name] for name in FILES)
