"""The tokens of a chunk of documents, and a cache of them across runs, so that a chunk with the same lines is tokenised
once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kepipe.data.alignment import Columns
from kepipe.data.document_columns import open_strings, string_arrays, strings
from kepipe.data.document_stream import Chunk
from kepipe.data.stored_arrays import mark_used, read_arrays, store_arrays
from kg.columns import Column

COUNTS = ("mentions", "aligned")


class EncodedSplit(NamedTuple):
    """The tokens of a split's documents, with their ids and titles."""

    columns: Columns
    ids: Sequence[str]
    titles: Sequence[str]


@dataclass(frozen=True)
class EncodedChunk:
    """A chunk's tokens, by split; splits without a document are left out.

    `entities`: the chunk's entities in order of first occurrence; `Columns.entities` has indices into them. `offset`,
    `line`: the position after the chunk, as in `ParsedChunk`. `kept`: an earlier run has tokenised it.
    """

    splits: Mapping[str, EncodedSplit]
    entities: Sequence[str]
    offset: int
    line: int
    kept: bool = False


@dataclass(frozen=True)
class EncodedMemo:
    """A folder of chunks, which belongs to a tokenizer and a share of held-out documents. A chunk's file is named by
    the digest of its lines."""

    folder: Path

    def file(self, lines: bytes) -> Path:
        """The file of a chunk with these lines."""
        return self.folder / f"{hashlib.blake2b(lines, digest_size=16).hexdigest()}.tokens"

    def add(self, file: Path, chunk: EncodedChunk) -> None:
        """Store a chunk for later runs."""
        arrays: dict[str, Column] = string_arrays("entities", strings(chunk.entities))
        for split, (columns, ids, titles) in chunk.splits.items():
            own = {field.name: np.asarray(getattr(columns, field.name)) for field in fields(columns)}
            own["tokens"] = own["tokens"].astype(np.min_scalar_type(own["tokens"].max(initial=0)))
            arrays |= {f"{split}/{name}": column for name, column in own.items()}
            arrays |= string_arrays(f"{split}/ids", strings(ids))
            arrays |= string_arrays(f"{split}/titles", strings(titles))
        store_arrays(file, arrays)

    def find(self, file: Path, place: Chunk) -> EncodedChunk | None:
        """The chunk of a file, which lies at `place`; None if it is missing or damaged."""
        if (arrays := read_arrays(file)) is None:
            return None
        mark_used(file)
        splits = {}
        for split in dict.fromkeys(name.partition("/")[0] for name in arrays if "/" in name):
            own: dict[str, Any] = {field.name: arrays[f"{split}/{field.name}"] for field in fields(Columns)}
            own |= {name: int(own[name]) for name in COUNTS}
            ids, titles = (list(open_strings(arrays, f"{split}/{name}")) for name in ("ids", "titles"))
            splits[split] = EncodedSplit(Columns(**own), ids, titles)
        line = place.line + sum(len(split.ids) for split in splits.values())
        return EncodedChunk(splits, list(open_strings(arrays, "entities")), place.end, line, kept=True)
