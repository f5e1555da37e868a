"""The dense view of a graph: vectors of tokens, so that a name is near the other names of its entity, and the context
of a mention near the description of the entity that it means.

The vector of a text is the sum of its tokens' vectors, scaled to length 1; rare tokens have longer vectors. The
vectors of names and descriptions are memory-mapped, and the search is exact.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from kepipe.arrays import Floats32, Ints
from kepipe.data.nearest import by_vectors
from kepipe.linking.text.batch import TextBatch
from kepipe.tokenization.tokenizer import Tokenizer, load_tokenizer
from kg.columns import Strings, load, save, save_strings
from kg.regular_files import read_json
from kg.store import Graph
from kg.surface import fold, normalise

WINDOW = 300
"""Characters on either side of a mention that its context has, about fifty words."""
MAX_NEIGHBOURS = 10
"""Neighbours that are named in the text of an entity without a description."""
COMPARED = 8
"""Names, the nearest by a matrix product, whose cosines are computed one by one."""
Halves = npt.NDArray[np.float16]


@dataclass(frozen=True)
class DenseView:
    """`tokens` float16 [V, D], the weighted vector of each token; `descriptions` float16 [E, D] of the entities;
    `names`, all their names, with `name_vectors` float16 [N, D] and the entities' `name_rows` [N]. All but `tokens`
    have length 1. `origin`: the number of training `steps`."""

    tokenizer: Tokenizer
    tokens: Halves
    descriptions: Halves
    names: Sequence[str]
    name_vectors: Halves
    name_rows: Ints
    origin: dict[str, int]

    @classmethod
    def of(cls, graph: Graph, tokenizer: Tokenizer, tokens: Halves, origin: dict[str, int]) -> DenseView:
        """The view of a graph, given the vectors of tokens."""
        empty = np.zeros((0, tokens.shape[1]), np.float16)
        bare = cls(tokenizer, tokens, empty, (), empty, np.zeros(0, np.int64), origin)
        names, rows = entity_names(graph)
        described, named = bare.vectors(list(entity_texts(graph))), bare.vectors(names)
        return cls(
            tokenizer, tokens, described.astype(np.float16), names, named.astype(np.float16), rows, origin
        )

    def nearest(self, surfaces: Sequence[str]) -> tuple[Ints, Floats32]:
        """The index of the name nearest to each surface, and their cosine: [n] each.

        Of names with equal cosines among the `COMPARED` nearest, the first is taken.
        """
        vectors_ND = self.vectors(surfaces)
        rows_Nk = np.sort(
            by_vectors(vectors_ND, self.name_vectors, min(COMPARED, len(self.names))).rows, axis=1
        )
        # The last bits of a matrix product depend on the other surfaces, those of this do not.
        near_NkD = self.name_vectors[rows_Nk].astype(np.float32)
        cosines_Nk = np.einsum("nd,nkd->nk", vectors_ND, near_NkD)
        best_N1 = cosines_Nk.argmax(axis=1)[:, None]
        rows_N1, cosines_N1 = (np.take_along_axis(each, best_N1, 1) for each in (rows_Nk, cosines_Nk))
        return rows_N1[:, 0], cosines_N1[:, 0]

    def contexts(self, batch: TextBatch, starts: Ints, ends: Ints) -> Floats32:
        """Unit vectors of the text within `WINDOW` characters of each span, the span included: [spans, D]. Spans are
        batch offsets, sorted by start; a vector does not depend on the rest of the batch."""
        texts = batch.number(starts)
        present = np.unique(texts)
        encoded = self.tokenizer.encode([batch.texts[text] for text in present.tolist()])
        begins = batch.begins[present]
        shift = np.repeat(begins, encoded.lengths)
        # A normaliser may reorder characters; the search below needs order.
        token_starts = np.maximum.accumulate(encoded.starts + shift)
        token_ends = np.maximum.accumulate(encoded.ends + shift)
        text_end = batch.begins[texts + 1] - 1
        low = np.searchsorted(token_starts, np.maximum(starts - WINDOW, batch.begins[texts]))
        high = np.searchsorted(token_ends, np.minimum(ends + WINDOW, text_end), "right")
        return self._sums(encoded.tokens, low, np.maximum(high, low))

    def vectors(self, texts: Sequence[str]) -> Floats32:
        """Unit vectors of whole texts: [texts, D]; 0 of a text without tokens."""
        encoded = self.tokenizer.encode(texts)
        high = np.cumsum(encoded.lengths)
        return self._sums(encoded.tokens, high - encoded.lengths, high)

    def _sums(self, tokens: Ints, low: Ints, high: Ints) -> Floats32:
        """Unit vectors of the ranges `low`..`high` of a row of tokens."""
        counts = high - low
        indptr = np.concatenate(([0], np.cumsum(counts)))
        places = np.repeat(low - indptr[:-1], counts) + np.arange(indptr[-1])
        shape = (len(low), len(self.tokens))
        ones = np.ones(len(places), np.float32)
        summed = sp.csr_array((ones, tokens[places], indptr), shape=shape) @ self._table
        lengths = np.sqrt(np.square(summed).sum(axis=1, keepdims=True))
        unit: Floats32 = summed / np.maximum(lengths, 1e-9)
        return unit

    @cached_property
    def _table(self) -> Floats32:
        return np.asarray(self.tokens, np.float32)

    def save(self, folder: Path) -> None:
        """Write the columns and the tokenizer into `folder`, which is made."""
        self.tokenizer.save(folder / "tokenizer")
        save_strings(folder, "names", self.names)
        for name in _COLUMNS:
            save(folder, name, getattr(self, name))
        (folder / "dense.json").write_text(json.dumps(self.origin), encoding="utf-8")

    @classmethod
    def open(cls, folder: Path) -> DenseView:
        """The columns that `save` wrote, memory-mapped. Raises ValueError where one is missing or damaged."""
        columns = {name: load(folder, name) for name in _COLUMNS}
        try:
            origin = read_json(folder / "dense.json")
        except FileNotFoundError:
            raise ValueError(f"{folder}: dense.json is missing; make the linker again") from None
        names, tokenizer = Strings.load(folder, "names"), load_tokenizer(folder / "tokenizer")
        return cls(tokenizer=tokenizer, names=names, origin=origin, **columns)


_COLUMNS = ("tokens", "descriptions", "name_vectors", "name_rows")


def entity_names(graph: Graph) -> tuple[list[str], Ints]:
    """The names of all entities, the label of each first, without those that differ in case only; and the entity's row
    of each name."""
    names, rows = list[str](), list[int]()
    for row, label in enumerate(graph.labels):
        own = {fold(written): written for written in map(normalise, (*reversed(graph.aliases(row)), label))}
        names += reversed(own.values())
        rows += [row] * len(own)
    return names, np.asarray(rows, np.int64)


def entity_texts(graph: Graph) -> Iterator[str]:
    """The text of each entity: "label: description"; without a description, its types and the labels of neighbours."""
    around = neighbour_labels(graph)
    for row, (label, description) in enumerate(zip(graph.labels, graph.descriptions, strict=True)):
        yield f"{label}: {description or ', '.join([*graph.types(row)[:2], *around[row]])}"


def neighbour_labels(graph: Graph) -> list[list[str]]:
    """The labels of at most `MAX_NEIGHBOURS` neighbours of each entity, in the order of the triples."""
    around: list[list[str]] = [[] for _ in range(len(graph))]
    for head, _, tail in graph.triples("train").tolist():
        for one, other in ((head, tail), (tail, head)):
            if len(around[one]) < MAX_NEIGHBOURS:
                around[one].append(graph.labels[other])
    return around
