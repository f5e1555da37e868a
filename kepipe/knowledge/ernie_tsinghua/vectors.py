"""Entity vectors for a model with fusion layers: looked up by row, a batch at a time.

Table and ids are memory-mapped; only the rows of a batch are loaded. Entities without a vector are ignored (their
tokens are plain tokens), or get a vector composed from their neighbours in the graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
import torch

from kepipe.arrays import BatchRows, Floats32, VectorRows
from kepipe.data.batch import Batch
from kepipe.files import link_or_copy
from kg.store import Graph
from kg.vectors import (
    IDS,
    INDEX,
    RELATION_IDS,
    TABLE,
    Vectors,
    has_vectors,
    open_vectors,
    save_with_relations_of,
)
from kg.warm_start import start_from

FILES = (TABLE, IDS, INDEX, RELATION_IDS)
"""Files of a folder with entity vectors; the last only if there are relation vectors."""


class EntityVectors:
    """Vectors by row: first those of a folder, then composed ones."""

    def __init__(self, vectors: Vectors, composed: Floats32 | None = None, ids: Sequence[str] = ()) -> None:
        self.vectors = vectors
        self._composed = np.zeros((0, vectors.dim), np.float32) if composed is None else composed
        self._rows = {id: len(vectors) + row for row, id in enumerate(ids)}

    @classmethod
    def open(cls, folder: Path, graph: Graph | None = None) -> Self:
        """The vectors of a `Vectors` artifact or of a model's folder.

        With a `graph`, its entities without a vector get the mean of the TransE predictions from their neighbours (h +
        r for a tail, t − r for a head; see `kg.warm_start.start_from`), except entities without a known neighbour.
        Raises ValueError if the folder has no vectors, or, with a graph, no relation vectors.
        """
        if not has_vectors(folder):
            raise ValueError(
                f"{folder}: no entity vectors ({TABLE} and {IDS}); train them with a stage `embed`"
            )
        vectors = open_vectors(folder, scattered=True)
        if graph is None:
            return cls(vectors)
        start = start_from(folder, graph)
        ids = graph.ids.take(start.entity_rows)
        new = np.flatnonzero(vectors.rows(ids) < 0)
        return cls(vectors, start.entities[new], [ids[place] for place in new.tolist()])

    @property
    def width(self) -> int:
        """The dimension E of a vector."""
        return self.vectors.dim

    @property
    def composed(self) -> int:
        """The number of composed vectors."""
        return len(self._composed)

    def __len__(self) -> int:
        return len(self.vectors) + len(self._composed)

    def rows(self, ids: Sequence[str]) -> VectorRows:
        """The rows of entities; −1 for those without a vector."""
        found = self.vectors.rows(ids)
        if self._rows:
            for place in np.flatnonzero(found < 0).tolist():
                found[place] = self._rows.get(ids[place], -1)
        return VectorRows(found)

    def save(self, folder: Path, trained: Floats32 | None = None) -> None:
        """Save the vectors into a model's folder: the same files if nothing was `trained` or composed.

        Files are hard-linked if the file system supports it: a table may be larger than the model.
        """
        if trained is None and not len(self._composed):
            for name in FILES:
                if (self.vectors.folder / name).is_file():
                    link_or_copy(self.vectors.folder / name, folder / name)
            return
        ids, entities = [*self.vectors.ids, *self._rows], self.table() if trained is None else trained
        save_with_relations_of(self.vectors.folder, folder, ids, entities)

    def table(self) -> Floats32:
        """All vectors at once, float32 [rows, E]."""
        return np.concatenate([self.vectors.matrix, self._composed])

    def gather(self, rows_BT: VectorRows) -> tuple[BatchRows, Floats32]:
        """The index of each of `rows_BT` (−1: none) into the distinct vectors, [B, T], 0 for none; and the distinct
        vectors in order of rows, after a zero vector: [M, E]."""
        unique, local = np.unique(np.append(rows_BT.ravel(), -1), return_inverse=True)
        rows_M = unique[1:]
        vectors_ME = np.zeros((len(unique), self.width), np.float32)
        stored = rows_M < len(self.vectors)
        vectors_ME[1:][stored] = self.vectors.matrix[rows_M[stored]]
        vectors_ME[1:][~stored] = self._composed[rows_M[~stored] - len(self.vectors)]
        return BatchRows(local[:-1].reshape(rows_BT.shape)), vectors_ME


def attach(
    batch: Batch, links_BT: VectorRows, table: EntityVectors, others: VectorRows | None = None
) -> Batch:
    """The batch with entities at its tokens, given as rows of the table (−1: none).

    The rows in `others`, of any shape, are added to the batch's vectors too.
    """
    wanted = links_BT if others is None else np.append(links_BT, others)
    rows_M = VectorRows(np.append(-1, np.unique(wanted[wanted >= 0])))
    _, vectors_ME = table.gather(rows_M)
    return replace(
        batch,
        entities=torch.from_numpy(np.searchsorted(rows_M, links_BT)),
        entity_vectors=torch.from_numpy(vectors_ME),
        entity_rows=torch.from_numpy(rows_M),
    )
