"""Entity vectors on disk: a memory-mapped safetensors table and the ids of its rows.

`vectors.safetensors` has "entities" float32 [E, D] and, if there are any, "relations" [R, D]; its metadata may name the
model. `entities.txt` has the ids, one per line, in row order; `relations.txt` those of the relations.
`entities.safetensors` is an index of the ids: "starts" int64 [E + 1], where each line begins, "hashes" uint64 [E],
sorted, "rows" int32 [E], and "whole" uint64 [1], the hash of all lines, which detects an outdated index.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from kg.arrays import Floats32, Ints
from kg.columns import Strings, map_bytes, offsets
from kg.id_index import IdIndex, hash_ids
from kg.regular_files import open_regular, parse_json
from kg.store import UnknownEntityError

TABLE, IDS, RELATION_IDS = "vectors.safetensors", "entities.txt", "relations.txt"
INDEX = "entities.safetensors"
FILES = (TABLE, IDS, INDEX, RELATION_IDS)
KINDS = {"F32": np.float32, "U64": np.uint64, "I64": np.int64, "I32": np.int32}
"""Supported dtypes, by their names in a safetensors header."""


def has_vectors(folder: Path) -> bool:
    """Whether a folder holds entity vectors."""
    return (folder / TABLE).is_file() and (folder / IDS).is_file()


def save_vectors(
    folder: Path,
    ids: Sequence[str],
    entities: Floats32,
    relations: Floats32 | None = None,
    relation_ids: Iterable[str] | None = None,
    model: str | None = None,
) -> None:
    """Write a table, its ids, and the name of their model.

    Raises ValueError if their lengths differ, or an id contains a line break.
    """
    from safetensors.numpy import save_file

    if len(ids) != len(entities):
        raise ValueError(f"{len(ids):,} ids for {len(entities):,} vectors")
    folder.mkdir(parents=True, exist_ok=True)
    tables = {"entities": entities} if relations is None else {"entities": entities, "relations": relations}
    contiguous = {name: np.ascontiguousarray(table, np.float32) for name, table in tables.items()}
    for name in FILES:
        # Not overwritten in place: another folder may share the file, or `ids` and `entities` may be mapped from it.
        (folder / name).unlink(missing_ok=True)
    save_file(contiguous, folder / TABLE, None if model is None else {"model": model})
    _write_ids(folder / IDS, ids)
    index = _index_lines(folder / IDS)
    if len(index.ids) != len(ids):
        raise ValueError("an entity's id contains a line break, but ids are written one per line")
    digest = hash_ids([map_bytes(folder / IDS)])
    columns: dict[str, npt.NDArray[Any]] = {
        "starts": index.ids.starts,
        "hashes": index.hashes,
        "rows": index.rows,
        "whole": digest,
    }
    save_file(columns, folder / INDEX)
    if relation_ids is not None:
        _write_ids(folder / RELATION_IDS, relation_ids)


def save_with_relations_of(source: Path, folder: Path, ids: Sequence[str], entities: Floats32) -> None:
    """Write vectors of entities, with the relation vectors of another folder, if it has any."""
    if (source / RELATION_IDS).is_file():
        relations = map_table(source / TABLE, "relations")
        save_vectors(folder, ids, entities, relations, read_ids(source / RELATION_IDS))
    else:
        save_vectors(folder, ids, entities)


def _write_ids(file: Path, ids: Iterable[str]) -> None:
    with file.open("w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(f"{id}\n" for id in ids)


def _index_lines(file: Path) -> IdIndex:
    """The index of the ids in a file: line starts and hashes."""
    data = map_bytes(file)
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n"))
    return IdIndex.of(Strings(offsets(np.diff(ends, prepend=-1)), data, gap=1))


def require_fit(file: Path, ids: Sized, vectors: Sized) -> None:
    """Raise ValueError if a file does not have one id per vector; an incomplete last line does not count."""
    if len(ids) != len(vectors):
        raise ValueError(f"{file}: {len(ids):,} complete lines, for {len(vectors):,} vectors in {TABLE}")


def read_ids(file: Path) -> list[str]:
    """The ids that `save_vectors` wrote, in row order."""
    return file.read_text(encoding="utf-8").split("\n")[:-1]


def open_vectors(folder: Path, scattered: bool = False) -> Vectors:
    """Open vectors written by `save_vectors`; data is read on use.

    `scattered`: rows are accessed at random, so that read-ahead is turned off.
    """
    return Vectors(folder, map_table(folder / TABLE, "entities", scattered))


def map_table(file: Path, name: str, scattered: bool = False) -> Floats32:
    """A float32 table of a safetensors file, memory-mapped: [rows, columns]. Raises ValueError if it is missing."""
    table = map_tensor(file, name, scattered)
    if table is None or table.dtype != np.float32:
        raise ValueError(f"{file}: no float32 table named {name!r}")
    return table


def map_tensor(file: Path, name: str, scattered: bool = False) -> npt.NDArray[Any] | None:
    """A tensor of a safetensors file, memory-mapped; None if it is missing or has an unsupported dtype.

    The format (huggingface/safetensors, README "Format"): 8 bytes little-endian length, a JSON header, data.
    """
    header, length = _read_header(file)
    if name not in header or header[name]["dtype"] not in KINDS:
        return None
    begin, _ = header[name]["data_offsets"]
    kind, shape = KINDS[header[name]["dtype"]], tuple(header[name]["shape"])
    if 0 in shape:
        return np.zeros(shape, kind)
    mapped = map_bytes(file, scattered)
    values = np.frombuffer(mapped, kind, count=math.prod(shape), offset=8 + length + begin)
    return values.reshape(shape)


def _read_header(file: Path) -> tuple[dict[str, Any], int]:
    """The header and its length in bytes. Raises ValueError if the file is missing or not safetensors."""
    try:
        with open_regular(file) as stream:
            length = int.from_bytes(stream.read(8), "little")
            if length >= file.stat().st_size:
                raise ValueError("a header longer than the file")
            header = parse_json(stream.read(length))
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(f"{file.parent}: holds no vectors ({file.name} is missing)") from None
    except ValueError as error:
        raise ValueError(f"{file}: not a safetensors file ({error})") from None
    return header, length


@dataclass(frozen=True)
class Vectors:
    """Vectors by entity id. `matrix` is float32 [E, D], read-only.

    For an unknown id, `vectors[id]` raises UnknownEntityError, `get` returns None, and `lookup` depends on `missing`.
    """

    folder: Path
    matrix: Floats32

    @property
    def model(self) -> str | None:
        """The name of their model, if it was stored."""
        header, _ = _read_header(self.folder / TABLE)
        found = header.get("__metadata__", {}).get("model")
        return None if found is None else str(found)

    @property
    def ids(self) -> Sequence[str]:
        """The ids, in row order."""
        return self._index.ids

    @cached_property
    def _index(self) -> IdIndex:
        """Mapped if the folder has one; rebuilt for a folder without an index, or without its hash."""
        if not (self.folder / INDEX).is_file():
            return self._made_anew()
        starts, hashes, rows, digest = (
            map_tensor(self.folder / INDEX, name) for name in ("starts", "hashes", "rows", "whole")
        )
        if starts is None or hashes is None or rows is None or len(rows) != len(self):
            raise ValueError(f"{self.folder / INDEX}: does not match {TABLE}; delete it, it is optional")
        if digest is None:
            return self._made_anew()
        lines = map_bytes(self.folder / IDS)
        # Reads all lines once, at about a gigabyte per second; rebuilding the index takes seconds per million ids.
        if digest[0] != hash_ids([lines])[0]:
            raise ValueError(
                f"{self.folder / IDS}: changed since {INDEX} was written; delete {INDEX}, it is optional"
            )
        return IdIndex(Strings(starts, lines, gap=1), hashes, rows)

    def _made_anew(self) -> IdIndex:
        index = _index_lines(self.folder / IDS)
        require_fit(self.folder / IDS, index.ids, self.matrix)
        return index

    def rows(self, ids: Iterable[str]) -> Ints:
        """The rows of several ids, −1 if unknown: int64 [n]."""
        return self._index.find_all(ids)

    @property
    def dim(self) -> int:
        return int(self.matrix.shape[1])

    def __len__(self) -> int:
        return len(self.matrix)

    def __contains__(self, id: str) -> bool:
        return self._index.find(id) >= 0

    def __getitem__(self, id: str) -> Floats32:
        vector = self.get(id)
        if vector is None:
            raise UnknownEntityError(f"no vector for entity {id!r} in {self.folder}")
        return vector

    def get(self, id: str) -> Floats32 | None:
        """The vector of an id [D], or None."""
        row = self._index.find(id)
        return None if row < 0 else self.matrix[row]

    def lookup(self, ids: Iterable[str], missing: Literal["raise", "zeros"] = "raise") -> Floats32:
        """The vectors of several ids [n, D]; an unknown one raises UnknownEntityError, or is zero with "zeros"."""
        asked = list(ids)
        rows = self.rows(asked)
        unknown = np.flatnonzero(rows < 0)
        if missing == "raise" and len(unknown):
            raise UnknownEntityError(f"no vector for entity {asked[unknown[0]]!r} in {self.folder}")
        table = np.zeros((len(asked), self.dim), np.float32)
        table[rows >= 0] = self.matrix[rows[rows >= 0]]
        return table
