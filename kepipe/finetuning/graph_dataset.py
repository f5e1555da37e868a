"""A data set whose answers are only in the graph, to test whether a model uses injected knowledge.

"Which country of citizenship does Ada Lovelace have?" → United Kingdom; or, for entity typing, "Everybody spoke of Ada
Lovelace." → human, mathematician, writer. No entity is in two splits, so answers cannot be memorised in training: a
model has to use the injected knowledge, or guess.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kepipe.arrays import Ints32
from kepipe.data.document import Mention
from kg.store import Graph, Triples

SPLITS = ("train", "dev", "test")
NAME, RELATION = "{name}", "{relation}"


@dataclass(frozen=True)
class Question:
    """A text, the mention of the entity in question, and the answers: the label of a triple's object, or all types.
    `aliases`: other names of the object."""

    id: str
    text: str
    mention: Mention
    answers: tuple[str, ...]
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Limits:
    """Which questions are made, and how many.

    `relations`: ids of the relations to ask about. `fewest`: the least number of triples with an answer. `most`: the
    most questions with the same answer, which limits the score of guessing. `shares`: the shares of entities for dev
    and test.
    """

    relations: Sequence[str] = ()
    fewest: int = 12
    most: int = 60
    shares: tuple[float, float] = (0.1, 0.3)


@dataclass(frozen=True)
class GraphDataset:
    """Questions by split; `asked`: label of each relation, or type → number of questions."""

    splits: dict[str, list[Question]]
    asked: dict[str, int]


def make_classification(
    graph: Graph, templates: Sequence[str], rng: np.random.Generator, limits: Limits
) -> GraphDataset:
    """Questions about the triples of the split "train" whose subject has exactly one object by the relation.

    Answers with fewer than `fewest` triples are skipped; of those with more than `most`, `most` are drawn. Without
    `relations` all relations are used. An entity is in one split only, also if it has questions of several relations.
    Raises ValueError if fewer than two answers are left.
    """
    triples = _unique_triples(graph)
    if limits.relations:
        triples = triples[np.isin(triples[:, 1], [graph.relation_row(id) for id in limits.relations])]
    drawn = rng.permutation(len(triples))
    labels = [graph.labels[tail] for tail in triples[:, 2].tolist()]
    counts: Counter[str] = Counter()
    frequent = {label for label, count in Counter(labels).items() if count >= limits.fewest}
    kept: list[int] = []
    for place in drawn.tolist():
        if labels[place] in frequent and counts[labels[place]] < limits.most:
            counts[labels[place]] += 1
            kept.append(place)
    if len(counts) < 2:
        raise ValueError(
            f"graph-dataset: the graph has {_counted(len(counts), 'answer')} that {limits.fewest} or more "
            "entities share, two are needed; set `fewest` lower"
        )
    split_of = _split_entities(np.unique(triples[kept, 0]), rng, limits.shares)
    splits: dict[str, list[Question]] = {name: [] for name in SPLITS}
    asked: Counter[str] = Counter()
    for place in sorted(kept):
        head, relation, tail = triples[place].tolist()
        template = templates[int(rng.integers(len(templates)))]
        row = graph.relation(relation)
        label = row.label or row.id
        asked[label] += 1
        text, mention = _ask(graph, head, template.replace(RELATION, label))
        aliases = tuple(alias for alias in graph.aliases(tail) if alias != labels[place])
        question = Question(f"{mention.entity} {label}", text, mention, (labels[place],), aliases)
        splits[split_of[head]].append(question)
    return GraphDataset(splits, _by_count(asked))


def make_typing(
    graph: Graph, templates: Sequence[str], rng: np.random.Generator, limits: Limits
) -> GraphDataset:
    """Texts that mention an entity, whose answers are all its types: those in the graph, and the labels of its objects
    by `limits.relations` in the split "train", such as its occupations.

    Types of fewer than `fewest` entities are skipped. An entity is skipped if each of its types already has `most`
    questions. Raises ValueError if fewer than two types are left.
    """
    types_of = _types(graph, limits.relations, limits.fewest)
    taken: Counter[str] = Counter()
    kept: list[int] = []
    for row in rng.permutation(np.array(sorted(types_of), np.int32)).tolist():
        if any(taken[type] < limits.most for type in types_of[row]):
            taken.update(types_of[row])
            kept.append(row)
    if len(taken) < 2:
        raise ValueError(
            f"graph-dataset: the graph has {_counted(len(taken), 'type')} that {limits.fewest} or more entities have, "
            "two are needed; set `fewest` lower, or name `relations` whose objects say what an entity is"
        )
    split_of = _split_entities(np.array(sorted(kept), np.int32), rng, limits.shares)
    splits: dict[str, list[Question]] = {name: [] for name in SPLITS}
    for row in sorted(kept):
        text, mention = _ask(graph, row, templates[int(rng.integers(len(templates)))])
        splits[split_of[row]].append(Question(mention.entity, text, mention, types_of[row]))
    return GraphDataset(splits, _by_count(taken))


def _types(graph: Graph, relations: Sequence[str], fewest: int) -> dict[int, tuple[str, ...]]:
    """Row of each labelled entity → its sorted types, restricted to frequent types; entities without any are left
    out."""
    found = {row: set(graph.types(row)) for row, label in enumerate(graph.labels) if label}
    triples = graph.triples("train")
    tells = np.isin(triples[:, 1], [graph.relation_row(id) for id in relations])
    for head, _, tail in triples[tells].tolist():
        if head in found and graph.labels[tail]:
            found[head].add(graph.labels[tail])
    counts = Counter(type for types in found.values() for type in types)
    often = {row: tuple(sorted(t for t in types if counts[t] >= fewest)) for row, types in found.items()}
    return {row: types for row, types in often.items() if types}


def _by_count(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _unique_triples(graph: Graph) -> Triples:
    """Triples of "train" whose (subject, relation) occurs once over all splits, in a fixed order."""
    later = [graph.triples(split) for split in graph.splits if split != "train"]
    everything = np.concatenate([graph.triples("train"), *later])
    _, which, counts = np.unique(everything[:, :2], axis=0, return_inverse=True, return_counts=True)
    alone = counts[which.ravel()] == 1
    train = graph.triples("train")
    only_ones: Triples = train[alone[: len(train)]]
    return only_ones


def _split_entities(
    entities: Ints32, rng: np.random.Generator, shares: tuple[float, float]
) -> dict[int, str]:
    """Entity → split."""
    order = rng.permutation(entities)
    dev, test = (round(share * len(order)) for share in shares)
    names = ["dev"] * dev + ["test"] * test + ["train"] * (len(order) - dev - test)
    return dict(zip(order.tolist(), names, strict=True))


def _ask(graph: Graph, row: int, template: str) -> tuple[str, Mention]:
    """The template filled with the entity's name, and the mention of it."""
    name = graph.labels[row]
    before, _, after = template.partition(NAME)
    return f"{before}{name}{after}", Mention(len(before), len(before) + len(name), graph.ids[row])


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
