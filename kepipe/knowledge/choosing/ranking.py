"""Rankings of an entity's triples (`kepipe.knowledge.choosing.choices` has the table): what they know, and those that
need no text.

A static score depends on the triple alone, a context score also on the text that mentions the entity. Ties are broken
by the graph's order, so every choice is deterministic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kepipe.arrays import Floats, Ints
from kepipe.data.batch import MentionSpans
from kepipe.knowledge.choosing.facts import Facts
from kepipe.knowledge.choosing.triple_tokenizer import TripleTokenizer
from kg.store import Graph

MAX_CANDIDATES = 256
"""A context ranking scores at most this many triples of an entity, the first in the graph's order."""


@dataclass(frozen=True)
class RankingSources:
    """The data available to rankings. `vectors`: the folder of an `embed` stage, or None."""

    graph: Graph
    facts: Facts
    triple_tokenizer: TripleTokenizer
    vectors: Path | None = None


@dataclass(frozen=True)
class RankingContext:
    """A batch and the C triples in question. `tokens`: int [B, T], `lengths`: int [B]; `entities`: int [M], the
    graph's row of each mention, −1 none; `owners`, `triples`: int [C], the mention index and the index of the triple:
    for each mention in turn the first `MAX_CANDIDATES` of its entity.
    """

    tokens: Ints
    lengths: Ints
    mentions: MentionSpans
    entities: Ints
    owners: Ints
    triples: Ints


ContextScore = Callable[[RankingContext], Floats]


def rarity(sources: RankingSources) -> Floats:
    """−log p(relation) − log p(object) in nats: the information of a triple if its parts were independent."""
    triples = sources.facts.triples
    surprise = np.zeros(len(triples))
    for column in (1, 2):
        counts = np.bincount(triples[:, column])
        surprise -= np.log(counts[triples[:, column]] / len(triples))
    return surprise


BLOCK = 65_536


def plausibility(sources: RankingSources) -> Floats:
    """−‖h + r − t‖ (TransE, Bordes et al. 2013), −∞ where a vector is missing. Raises ValueError without vectors."""
    from kg.vectors import RELATION_IDS, TABLE, map_table, open_vectors, read_ids

    if sources.vectors is None:
        raise ValueError(
            "knowledge: `choice: plausible` needs entity vectors: give the stage `inputs: {vectors: embed}`"
        )
    table, graph, triples = open_vectors(sources.vectors), sources.graph, sources.facts.triples
    kinds = {id: row for row, id in enumerate(read_ids(sources.vectors / RELATION_IDS))}
    relations = map_table(sources.vectors / TABLE, "relations")
    if relations.shape[1] != table.dim:
        raise ValueError(
            f"{sources.vectors}: relation and entity vectors differ in dimension; `plausible` needs those of TransE"
        )
    entity = table.rows(graph.ids)
    relation = np.array([kinds.get(known.id, -1) for known in graph.relations], np.int64)
    found = np.full(len(triples), -np.inf)
    for start in range(0, len(triples), BLOCK):
        part = triples[start : start + BLOCK]
        rows = entity[part[:, 0]], relation[part[:, 1]], entity[part[:, 2]]
        has_vectors = (rows[0] >= 0) & (rows[1] >= 0) & (rows[2] >= 0)
        h, r, t = (
            values[row[has_vectors]]
            for values, row in zip((table.matrix, relations, table.matrix), rows, strict=True)
        )
        found[start : start + BLOCK][has_vectors] = -np.linalg.norm(h + r - t, axis=1)
    return found
