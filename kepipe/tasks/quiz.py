"""A quiz whose answers stand in the graph alone: the task by which one sees whether knowledge gets through.

"Which country of citizenship does Ada Lovelace have?" → United Kingdom. Nobody is asked about in the training part
and again later, so that no answer can be learned by heart: a model answers what its knowledge brings in, or guesses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kepipe.types import Mention
from kg.store import Graph, Triples

Ints = npt.NDArray[np.int64]
SPLITS = ("train", "dev", "test")
NAME, RELATION = "{name}", "{relation}"


@dataclass(frozen=True)
class Question:
    """A text that asks for the object of a triple, the entity that it names, and the object's label."""

    id: str
    text: str
    mention: Mention
    answer: str


@dataclass(frozen=True)
class Quiz:
    """Questions by split; `relations`: label of each relation that is asked for → number of questions."""

    splits: dict[str, list[Question]]
    relations: dict[str, int]


def make_quiz(
    graph: Graph,
    templates: Sequence[str],
    rng: np.random.Generator,
    *,
    relations: Sequence[str] = (),
    fewest: int = 12,
    most: int = 60,
    shares: tuple[float, float] = (0.1, 0.3),
) -> Quiz:
    """Questions about the triples of the split "train" that are the only one of their subject and relation.

    A label that fewer than `fewest` triples have is not asked for; of one that more than `most` have, that many are
    drawn, so that guessing does not pay. `relations`: ids to ask for; all by default. `shares`: of the entities, for
    dev and test. An entity is in one split only, also where two relations ask about it. Raises ValueError where the
    graph has nothing to ask.
    """
    triples = _only_ones(graph)
    if relations:
        triples = triples[np.isin(triples[:, 1], [graph.relation_row(id) for id in relations])]
    drawn = rng.permutation(len(triples))
    labels = [graph.labels[tail] for tail in triples[:, 2].tolist()]
    taken: Counter[str] = Counter()
    often = {label for label, count in Counter(labels).items() if count >= fewest}
    kept: list[int] = []
    for place in drawn.tolist():
        if labels[place] in often and taken[labels[place]] < most:
            taken[labels[place]] += 1
            kept.append(place)
    if len(taken) < 2:
        raise ValueError(
            f"quiz: the graph has {len(taken)} answers that {fewest} entities or more share; set `fewest` lower"
        )
    split_of = _split_entities(np.unique(triples[kept, 0]), rng, shares)
    splits: dict[str, list[Question]] = {name: [] for name in SPLITS}
    asked: Counter[str] = Counter()
    for place in sorted(kept):
        head, relation, _ = triples[place].tolist()
        template = templates[int(rng.integers(len(templates)))]
        wanted = graph.relation(relation)
        asked[wanted.label or wanted.id] += 1
        splits[split_of[head]].append(_ask(graph, head, wanted.label or wanted.id, template, labels[place]))
    return Quiz(splits, dict(sorted(asked.items(), key=lambda item: (-item[1], item[0]))))


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
    entities: npt.NDArray[np.int32], rng: np.random.Generator, shares: tuple[float, float]
) -> dict[int, str]:
    """Entity → split."""
    order = rng.permutation(entities)
    dev, test = (round(share * len(order)) for share in shares)
    names = ["dev"] * dev + ["test"] * test + ["train"] * (len(order) - dev - test)
    return dict(zip(order.tolist(), names, strict=True))


def _ask(graph: Graph, head: int, relation: str, template: str, answer: str) -> Question:
    name = graph.labels[head]
    before, _, after = template.replace(RELATION, relation).partition(NAME)
    mention = Mention(len(before), len(before) + len(name), graph.ids[head])
    return Question(f"{graph.ids[head]} {relation}", f"{before}{name}{after}", mention, answer)
