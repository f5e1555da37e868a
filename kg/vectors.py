"""Entity vectors on disk: a memory-mapped safetensors table and the ids of its rows.

`vectors.safetensors` holds "entities" float32 [E, D] and, where there are any, "relations" [R, D];
`entities.txt` the ids, one a line, in row order; `relations.txt` those of the relations.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from kg.store import UnknownEntityError

Table = npt.NDArray[np.float32]
TABLE, IDS, RELATION_IDS = "vectors.safetensors", "entities.txt", "relations.txt"


def save_vectors(
    folder: Path,
    ids: Iterable[str],
    entities: Table,
    relations: Table | None = None,
    relation_ids: Iterable[str] | None = None,
) -> None:
    """Write a table and its ids. Raises ValueError where they do not fit each other."""
    from safetensors.numpy import save_file

    lines = list(ids)
    if len(lines) != len(entities):
        raise ValueError(f"{len(lines):,} ids for {len(entities):,} vectors")
    folder.mkdir(parents=True, exist_ok=True)
    tables = {"entities": entities} if relations is None else {"entities": entities, "relations": relations}
    contiguous = {name: np.ascontiguousarray(table, np.float32) for name, table in tables.items()}
    save_file(contiguous, folder / TABLE)
    _write_ids(folder / IDS, lines)
    if relation_ids is not None:
        _write_ids(folder / RELATION_IDS, relation_ids)


def _write_ids(file: Path, ids: Iterable[str]) -> None:
    file.write_text("".join(f"{id}\n" for id in ids), encoding="utf-8", newline="\n")


def read_ids(file: Path) -> list[str]:
    """The ids that `save_vectors` wrote, in row order."""
    return file.read_text(encoding="utf-8").split("\n")[:-1]


def open_vectors(folder: Path) -> Vectors:
    """Open what `save_vectors` wrote; only the rows that are used are read."""
    return Vectors(folder, map_table(folder / TABLE, "entities"))


def map_table(file: Path, name: str) -> Table:
    """A float32 table of a safetensors file, memory-mapped: [rows, columns]. Raises ValueError if it is not there.

    The format (huggingface/safetensors, README "Format"): 8 bytes little-endian length, a JSON header, data.
    """
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(length))
    if name not in header or header[name]["dtype"] != "F32":
        raise ValueError(f"{file}: no float32 table named {name!r}")
    begin, _ = header[name]["data_offsets"]
    shape = tuple(header[name]["shape"])
    if 0 in shape:
        return np.zeros(shape, np.float32)
    mapped = np.memmap(file, np.float32, "r", offset=8 + length + begin, shape=shape)
    return np.asarray(mapped).view(np.ndarray)


@dataclass(frozen=True)
class Vectors:
    """Vectors by entity id. `matrix` is float32 [E, D], read-only.

    An id that is not there: `vectors[id]` raises UnknownEntityError, `get` answers None, `lookup` does as it is
    told. It is never silently another entity's vector.
    """

    folder: Path
    matrix: Table

    @cached_property
    def ids(self) -> list[str]:
        return read_ids(self.folder / IDS)

    @cached_property
    def rows(self) -> dict[str, int]:
        """Id → row."""
        return {id: row for row, id in enumerate(self.ids)}

    @property
    def dim(self) -> int:
        return int(self.matrix.shape[1])

    def __len__(self) -> int:
        return len(self.matrix)

    def __contains__(self, id: str) -> bool:
        return id in self.rows

    def __getitem__(self, id: str) -> Table:
        vector = self.get(id)
        if vector is None:
            raise UnknownEntityError(f"no vector for entity {id!r} in {self.folder}")
        return vector

    def get(self, id: str) -> Table | None:
        """The vector of an id [D], or None."""
        row = self.rows.get(id)
        return None if row is None else self.matrix[row]

    def lookup(self, ids: Iterable[str], missing: Literal["raise", "zeros"] = "raise") -> Table:
        """The vectors of several ids [n, D]; unknown ones are refused, or zero where `missing` says so."""
        found = [self[id] if missing == "raise" else self.get(id) for id in ids]
        table = np.zeros((len(found), self.dim), np.float32)
        for place, vector in enumerate(found):
            if vector is not None:
                table[place] = vector
        return table
