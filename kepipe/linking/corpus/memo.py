"""Caches of results across runs, so that only new texts are annotated, and only new documents are linked.

A folder belongs to all that the results depend on besides the key of each, a text or a document's line. Each file
`NAME.results` in it holds some results, and `NAME.keys` beside it the digests of their keys, uint64 [n, 2].
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from kepipe.data.document import Document
from kepipe.data.document_columns import Arrays, DocumentColumns, open_strings, string_arrays, strings
from kepipe.data.stored_arrays import mark_used, read_arrays, store_arrays
from kepipe.files import replacing
from kepipe.linking.corpus.annotated import AnnotatedChunk
from kepipe.linking.text.annotations import Annotations

Digests = npt.NDArray[np.uint64]
T = TypeVar("T")


@dataclass(frozen=True)
class Memo(ABC, Generic[T]):
    """A folder of results. `index`: a file of the current run that lists the folder's entries (`write_index`)."""

    folder: Path
    index: Path

    @staticmethod
    @abstractmethod
    def encode(results: Sequence[T]) -> Arrays:
        """Results as arrays."""

    @staticmethod
    @abstractmethod
    def decode(arrays: Arrays) -> list[T]:
        """The results that `encode` was given."""

    def write_index(self) -> None:
        """Write the index of the entries now in the folder. Damaged files are skipped."""
        names, digests = [], [np.zeros((0, 2), np.uint64)]
        for file in sorted(self.folder.glob("*.keys")):
            if (stored := read_arrays(file)) is not None:
                names.append(file.stem)
                digests.append(stored["digests"])
        lengths = [len(part) for part in digests[1:]]
        together = np.concatenate(digests)
        order = np.argsort(together[:, 0], kind="stable")
        files = np.repeat(np.arange(len(names)), lengths)[order]
        rows = np.concatenate([np.zeros(0, np.int64), *map(np.arange, lengths)])[order]
        with replacing(self.index, durable=False) as unfinished, unfinished.open("wb") as stream:
            np.savez(stream, names=np.array(names, "U"), digests=together[order], files=files, rows=rows)

    def find(self, keys: Sequence[str]) -> list[T | None]:
        """The cached result of each key in the index; None for the others."""
        known = _index(self.index, self.index.stat().st_mtime_ns)
        found: list[T | None] = [None] * len(keys)
        places = ((known.place(_digest(key)), number) for number, key in enumerate(keys))
        for (file, row), number in sorted((place, number) for place, number in places if place is not None):
            results = _results(self.folder / f"{file}.results", type(self))
            if row < len(results):  # else the file was damaged after the index was written
                found[number] = results[row]
        return found

    def add(self, keys: Sequence[str], results: Sequence[T]) -> None:
        """Store the results of keys for later runs."""
        if not keys:
            return
        digests = np.array([_digest(key) for key in keys], np.uint64)
        name = hashlib.blake2b(digests.tobytes(), digest_size=16).hexdigest()
        store_arrays(self.folder / f"{name}.results", self.encode(results))
        store_arrays(self.folder / f"{name}.keys", {"digests": digests})


class AnnotationMemo(Memo[Annotations]):
    """Annotations by text. They depend on the text and the annotator alone."""

    @staticmethod
    def encode(results: Sequence[Annotations]) -> Arrays:
        """Annotations as arrays."""
        return AnnotatedChunk.of([Document("", "")] * len(results), results).arrays

    @staticmethod
    def decode(arrays: Arrays) -> list[Annotations]:
        """Annotations of arrays."""
        return list(AnnotatedChunk(arrays).annotations)


class LinkedDocument(NamedTuple):
    """A document with sentences, phrases and mentions, and nothing else of its own; `counts`: an entry of
    `CorpusCounts`, None without gold links."""

    document: Document
    counts: dict[str, Any] | None


class LinkMemo(Memo[LinkedDocument]):
    """Links by the line of a document. They depend on the line, the annotator, the graph and the whole linker, with the
    common words that it counted and the ranker that it learned."""

    @staticmethod
    def encode(results: Sequence[LinkedDocument]) -> Arrays:
        """Links as arrays."""
        counts = ("" if result.counts is None else json.dumps(result.counts) for result in results)
        documents = DocumentColumns.of([result.document for result in results])
        return {**documents.arrays(), **string_arrays("counts", strings(counts))}

    @staticmethod
    def decode(arrays: Arrays) -> list[LinkedDocument]:
        """Links of arrays."""
        counts = (json.loads(text) if text else None for text in open_strings(arrays, "counts"))
        return list(map(LinkedDocument, DocumentColumns.open(arrays).documents(), counts))


@dataclass(frozen=True)
class _Index:
    """Digests [N, 2], ascending by the first column, and the file name and row of each."""

    names: Sequence[str]
    digests: Digests
    files: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]

    def place(self, digest: tuple[int, int]) -> tuple[str, int] | None:
        """File name and row of a digest; None if it is not in the index."""
        first, second = map(np.uint64, digest)
        start = int(np.searchsorted(self.digests[:, 0], first))
        while start < len(self.digests) and self.digests[start, 0] == first:
            if self.digests[start, 1] == second:
                return self.names[self.files[start]], int(self.rows[start])
            start += 1
        return None


def _digest(text: str) -> tuple[int, int]:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")


@lru_cache(maxsize=2)  # those of annotations and of links
def _index(file: Path, _modified: int) -> _Index:
    with np.load(file, allow_pickle=False) as stored:
        columns = {name: stored[name] for name in stored.files}
    return _Index(columns["names"].tolist(), columns["digests"], columns["files"], columns["rows"])


@lru_cache(maxsize=4)
def _results(file: Path, kind: type[Memo[Any]]) -> list[Any]:
    """The results of a file, [] if it is missing or damaged."""
    if (arrays := read_arrays(file)) is None:
        return []
    mark_used(file, file.with_suffix(".keys"))
    return kind.decode(arrays)
