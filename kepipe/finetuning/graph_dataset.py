"""A task whose answers stand in the graph alone: by it one sees whether knowledge gets through.

"Which country of citizenship does Ada Lovelace have?" → United Kingdom; or, for entity typing, "Everybody spoke of Ada
Lovelace." → human, mathematician, writer. Nobody is asked about in the training part and again later, so that no answer
can be learned by heart: a model answers what its knowledge brings in, or guesses.
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
    """A text, the entity that it names, and what is asked of it: the label of a triple's object, or all its types."""

    id: str
    text: str
    mention: Mention
    answers: tuple[str, ...]


@dataclass(frozen=True)
class Limits:
    """What is asked for, and how often.

    `relations`: ids to ask about. `fewest`: an answer that fewer share is not asked for. `most`: questions with the
    same answer, so that guessing does not pay. `shares`: of the entities, for dev and test.
    """

    relations: Sequence[str] = ()
    fewest: int = 12
    most: int = 60
    shares: tuple[float, float] = (0.1, 0.3)


@dataclass(frozen=True)
class GraphDataset:
    """Questions by split; `asked`: label of each relation, or each type, that is asked for → number of questions."""

    splits: dict[str, list[Question]]
    asked: dict[str, int]


def make_classification(
    graph: Graph, templates: Sequence[str], rng: np.random.Generator, limits: Limits
) -> GraphDataset:
    """Questions about the triples of the split "train" that are the only one of their subject and relation.

    A label that fewer than `fewest` triples have is not asked for; of one that more than `most` have, that many are
    drawn. Without `relations` all are asked about. An entity is in one split only, also where two relations ask about
    it. Raises ValueError where the graph has nothing to ask.
    """
    triples = _only_ones(graph)
    if limits.relations:
        triples = triples[np.isin(triples[:, 1], [graph.relation_row(id) for id in limits.relations])]
    drawn = rng.permutation(len(triples))
    labels = [graph.labels[tail] for tail in triples[:, 2].tolist()]
    taken: Counter[str] = Counter()
    often = {label for label, count in Counter(labels).items() if count >= limits.fewest}
    kept: list[int] = []
    for place in drawn.tolist():
        if labels[place] in often and taken[labels[place]] < limits.most:
            taken[labels[place]] += 1
            kept.append(place)
    if len(taken) < 2:
        raise ValueError(
            f"graph-dataset: the graph has {len(taken)} answers that {limits.fewest} entities or more share; "
            "set `fewest` lower"
        )
    split_of = _split_entities(np.unique(triples[kept, 0]), rng, limits.shares)
    splits: dict[str, list[Question]] = {name: [] for name in SPLITS}
    asked: Counter[str] = Counter()
    for place in sorted(kept):
        head, relation, _ = triples[place].tolist()
        template = templates[int(rng.integers(len(templates)))]
        wanted = graph.relation(relation)
        label = wanted.label or wanted.id
        asked[label] += 1
        text, mention = _ask(graph, head, template.replace(RELATION, label))
        question = Question(f"{mention.entity} {label}", text, mention, (labels[place],))
        splits[split_of[head]].append(question)
    return GraphDataset(splits, _by_count(asked))


def make_typing(
    graph: Graph, templates: Sequence[str], rng: np.random.Generator, limits: Limits
) -> GraphDataset:
    """Texts that name an entity, to be answered by all its types: those that the graph gives it, and the labels of
    what the `relations` (ids) lead to in the split "train", such as its occupations.

    A type that fewer than `fewest` entities have is not asked for, and an entity is left out all of whose types `most`
    have already. Raises ValueError where the graph has nothing to ask.
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
            f"graph-dataset: the graph has {len(taken)} types that {limits.fewest} entities or more have; "
            "set `fewest` lower, or name `relations` whose objects say what an entity is"
        )
    split_of = _split_entities(np.array(sorted(kept), np.int32), rng, limits.shares)
    splits: dict[str, list[Question]] = {name: [] for name in SPLITS}
    for row in sorted(kept):
        text, mention = _ask(graph, row, templates[int(rng.integers(len(templates)))])
        splits[split_of[row]].append(Question(mention.entity, text, mention, types_of[row]))
    return GraphDataset(splits, _by_count(taken))


def _types(graph: Graph, relations: Sequence[str], fewest: int) -> dict[int, tuple[str, ...]]:
    """Entity that has a name → its types, in order, of those that enough entities have; only entities that have one."""
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


def _only_ones(graph: Graph) -> Triples:
    """Triples of "train" whose subject has no other object by their relation, in any split; in a fixed order."""
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
    """The template with the entity's name in it, and where that stands."""
    name = graph.labels[row]
    before, _, after = template.partition(NAME)
    return f"{before}{name}{after}", Mention(len(before), len(before) + len(name), graph.ids[row])
