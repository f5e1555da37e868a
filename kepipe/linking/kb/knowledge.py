"""The properties of a graph's entities that disambiguation uses, in columns: neighbours, word profiles, kinds …

The *profile* of an entity is the words of its description and of its neighbours' labels, weighted by tf-idf.
Profiles and neighbours are sparse rows (CSR), so that all candidates of a text are looked up at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import compress
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from kepipe.arrays import Bools, Floats, Ints
from kepipe.linking.kb.genders import Genders, genders
from kepipe.linking.kb.kinds import KINDS, MIN_LOWERCASE_SHARE, concepts, kinds, occupations
from kepipe.linking.kb.name_parts import NameParts
from kepipe.linking.kb.profiles import build_profiles
from kepipe.linking.kb.sparse import Matrix
from kg.columns import Strings, load, save, save_strings
from kg.store import Graph

MAX_SYMMETRY = 0.25
"""A relation with a larger share of triples whose reverse is also there is symmetric: a graph often has one of
the two. In FB15k-237, the share is 0.81 for borders, 0.36 for exports, and below 0.03 for what is not symmetric."""


@dataclass(frozen=True)
class Knowledge:
    """Of E entities: `ids`, `labels`; `weights` [E], log(1 + prior) scaled to 0..1; `types` [E], the index of
    the first type (else of its role) in `type_names`, −1 none; `neighbours` [E, E], 1 where two share a triple;
    `profiles` [E, W], rows of length 1 over `words`; `kinds` [E], rows in `kinds.KINDS`;
    `genders` [E], of `genders.genders`; `concepts` [E], whether the label begins in lower case; `occupations` [E], of
    `kinds.occupations`; `within` [E, E], 1 where the row, a place or organisation, lies in the column, a place;
    `name_parts`: the first and last names of persons.
    """

    ids: Sequence[str]
    labels: Sequence[str]
    weights: Floats
    types: Ints
    type_names: Sequence[str]
    neighbours: Matrix
    words: Sequence[str]
    profiles: Matrix
    kinds: Ints
    genders: Genders
    concepts: Bools
    occupations: Bools
    within: Matrix
    name_parts: NameParts

    @classmethod
    def build(cls, graph: Graph) -> Knowledge:
        """Compute the columns from a graph."""
        neighbours = _neighbours(graph)
        words, profiles = build_profiles(graph, neighbours)
        types, names = (_first_types(graph), graph.type_names) if graph.type_names else roles(graph)
        of_kind = kinds(graph)
        prior = np.log1p(graph.prior if graph.prior.any() else graph.degrees)
        return cls(
            ids=list(graph.ids),
            labels=list(graph.labels),
            weights=prior / max(prior.max(initial=0.0), 1e-12),
            types=types,
            type_names=names,
            neighbours=neighbours,
            words=words,
            profiles=profiles,
            kinds=of_kind,
            genders=genders(graph, of_kind),
            concepts=concepts(graph),
            occupations=occupations(graph),
            within=_within(graph, of_kind, neighbours),
            name_parts=NameParts.of(graph, of_kind, np.diff(neighbours.indptr)),
        )

    @cached_property
    def columns(self) -> dict[str, int]:
        """The column of each word in `profiles`."""
        return {word: column for column, word in enumerate(self.words)}

    @cached_property
    def holds(self) -> Ints:
        """The number of places and organisations that lie in each entity: [E]."""
        return np.bincount(self.within.indices, minlength=len(self.ids))

    @cached_property
    def is_terminology(self) -> bool:
        """Whether the graph is a terminology, such as an ontology of diseases: at least `MIN_LOWERCASE_SHARE` of its
        labels are in lower case. In an encyclopaedic graph a tenth are."""
        return bool(self.concepts.mean() >= MIN_LOWERCASE_SHARE) if len(self.concepts) else False

    @cached_property
    def modifiers(self) -> frozenset[str]:
        """The lower-cased words before the last one in labels of terms ("renal", "hereditary")."""
        before = (label.lower().split(" ")[:-1] for label in compress(self.labels, self.concepts.tolist()))
        return frozenset(word.strip(",") for words in before for word in words)

    @cached_property
    def heads(self) -> frozenset[str]:
        """The lower-cased last words of labels of terms, and their plurals ("carcinoma", "carcinomas")."""
        labels = compress(self.labels, self.concepts.tolist())
        last = {label.lower().rsplit(" ", 1)[-1] for label in labels}
        return frozenset(last | {f"{word}s" for word in last})

    def lies_in(self, inner: int, outer: int) -> bool:
        """Whether a place or organisation lies in the place `outer`."""
        first, stop = self.within.indptr[inner : inner + 2].tolist() if inner >= 0 else (0, 0)
        return outer in self.within.indices[first:stop].tolist()

    def save(self, folder: Path) -> None:
        """Write the columns into `folder`, which is made."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("ids", "labels", "type_names", "words"):
            save_strings(folder, name, getattr(self, name))
        for name in ("weights", "types", "kinds", "genders", "concepts", "occupations"):
            save(folder, name, getattr(self, name))
        self.name_parts.save(folder / "name_parts")
        for name in ("neighbours", "profiles", "within"):
            matrix = getattr(self, name)
            for part in ("indptr", "indices", "data"):
                save(folder, f"{name}.{part}", getattr(matrix, part))

    @classmethod
    def open(cls, folder: Path) -> Knowledge:
        """The columns that `save` wrote, memory-mapped."""
        ids, labels, type_names, words = (
            Strings.load(folder, name) for name in ("ids", "labels", "type_names", "words")
        )
        return cls(
            ids,
            labels,
            load(folder, "weights"),
            load(folder, "types"),
            type_names,
            _open_matrix(folder, "neighbours", (len(ids), len(ids))),
            words,
            _open_matrix(folder, "profiles", (len(ids), len(words))),
            load(folder, "kinds"),
            load(folder, "genders"),
            load(folder, "concepts"),
            load(folder, "occupations"),
            _open_matrix(folder, "within", (len(ids), len(ids))),
            NameParts.open(folder / "name_parts"),
        )


def _open_matrix(folder: Path, name: str, shape: tuple[int, int]) -> Matrix:
    parts = tuple(load(folder, f"{name}.{part}") for part in ("data", "indices", "indptr"))
    return sp.csr_array(parts, shape=shape)


def _first_types(graph: Graph) -> Ints:
    numbers = {name: number for number, name in enumerate(graph.type_names)}
    first = (graph.types(row)[:1] for row in range(len(graph)))
    return np.fromiter((numbers[types[0]] if types else -1 for types in first), np.int64, len(graph))


def roles(graph: Graph) -> tuple[Ints, list[str]]:
    """A substitute for types where a graph has none: the role that an entity most often takes in triples.

    Returns the index of the role of each entity [E], −1 where it has no triple, and the names of the roles: the head
    ("r of") and the tail ("r") of each relation r.
    """
    triples = graph.triples("train").astype(np.int64)
    names = [name for relation in graph.relations for name in (f"{relation.label} of", relation.label)]
    entities = np.concatenate((triples[:, 0], triples[:, 2]))
    taken = np.concatenate((2 * triples[:, 1], 2 * triples[:, 1] + 1))
    pairs, counts = np.unique(entities * len(names) + taken, return_counts=True)
    order = np.lexsort((pairs, -counts, pairs // len(names)))
    best = pairs[order[np.flatnonzero(np.diff(pairs[order] // len(names), prepend=-1))]]
    rows = np.full(len(graph), -1, np.int64)
    rows[best // len(names)] = best % len(names)
    return rows, names


def _neighbours(graph: Graph) -> Matrix:
    """The adjacency matrix: symmetric, without loops, 1 where two entities share a training triple."""
    triples = graph.triples("train").astype(np.int64)
    heads, tails = triples[:, 0], triples[:, 2]
    ends = np.concatenate((heads, tails)), np.concatenate((tails, heads))
    matrix = sp.csr_array((np.ones(len(ends[0]), np.float32), ends), shape=(len(graph), len(graph)))
    matrix.setdiag(0)
    matrix.eliminate_zeros()
    matrix.data[:] = 1.0
    return matrix


def _within(graph: Graph, kinds: Ints, neighbours: Matrix) -> Matrix:
    """1 where a place or an organisation (row) shares a triple with the place that contains it (column).

    The container is the end of a relation whose entities have more neighbours in most of its triples. Symmetric
    relations, such as borders, are left out, as are pairs for which another relation holds in both directions.
    """
    place, organisation = KINDS.index("place"), KINDS.index("organisation")
    head, relation, tail = graph.triples("train").astype(np.int64).T
    size, number = np.diff(neighbours.indptr), len(graph.relations)
    widens = np.bincount(relation, np.sign(size[tail] - size[head]), number) > 0
    has_reverse = _has_reverse(head, relation, tail, neighbours.shape[0])
    symmetry = np.bincount(relation, has_reverse, number) / np.maximum(np.bincount(relation, None, number), 1)
    inner, outer = np.where(widens[relation], (head, tail), (tail, head))
    is_containment = (kinds[outer] == place) & np.isin(kinds[inner], (place, organisation)) & (inner != outer)
    is_containment &= ~has_reverse & (symmetry[relation] <= MAX_SYMMETRY)
    pairs = np.unique(inner[is_containment] * len(graph) + outer[is_containment])
    rows, columns = np.divmod(pairs, max(len(graph), 1))
    return sp.csr_array((np.ones(len(rows), np.int8), (rows, columns)), shape=neighbours.shape)


def _has_reverse(head: Ints, relation: Ints, tail: Ints, entities: int) -> Bools:
    """Whether the reverse of each triple is also there, which is another triple: [T]."""
    triple = (relation * entities + head) * entities + tail
    reversed_triple = (relation * entities + tail) * entities + head
    found: Bools = (head != tail) & np.isin(reversed_triple, triple)
    return found
