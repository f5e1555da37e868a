"""The questions of the quiz: facts of a graph, balanced over relations and answers, each with its options.

Other true answers of a question are not among its options, and no two options have the same name. (After BEAR, Wiland
et al. 2024: closed options and balanced answers make models of all kinds comparable, and guessing the most frequent
object is no advantage.)
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from kepipe.arrays import Bools, Ints
from kepipe.probes.base import NothingToAsk
from kepipe.probes.graph_quiz.settings import GraphQuizSettings
from kg.store import Graph

FEWEST = 2
"""Minimum number of options of a question."""
LONGEST = 100
"""Maximum number of characters of a name: longer ones are unlikely to be names, and would not fit into every model."""
RARE = 0.25
"""Share of the graph's entities that count as rare: those with the fewest triples."""


@dataclass(frozen=True)
class Questions:
    """Q facts with the object as the answer.

    `facts`: int [Q, 3], rows of head, relation and tail in the graph. `options`: for each question int [K], rows of
    entities, in an order independent of the answer; `truths`: int [Q], the index of the true option. `stated`: bool
    [Q], the fact may be in the training data; the others are held out. `rare`: bool [Q], the head or tail is one of the
    entities with the fewest triples. `left_out`: reason → number of facts.
    """

    facts: Ints
    options: tuple[Ints, ...]
    truths: Ints
    stated: Bools
    rare: Bools
    left_out: dict[str, int]

    def __len__(self) -> int:
        return len(self.facts)

    @property
    def sizes(self) -> Ints:
        """Number of options of each question, int [Q]."""
        return np.array([len(options) for options in self.options], np.int64)


def draw_questions(graph: Graph, settings: GraphQuizSettings, rng: np.random.Generator) -> Questions:
    """Draw half of the questions from the held-out splits and half from the stated ones, or as many as there are.

    Raises ValueError if a split or a relation is not in the graph, NothingToAsk if there are no suitable facts.
    """
    _check(graph, settings)
    left_out: Counter[str] = Counter()
    stated, held_out = (
        _askable(graph, _triples(graph, splits), settings, left_out)
        for splits in (settings.stated, settings.held_out)
    )
    held_out = held_out[~np.isin(_codes(graph, held_out), _codes(graph, stated))]
    number = settings.questions
    from_held_out = min(len(held_out), max(number // 2, number - len(stated)))
    options = _Options(graph, settings.options)
    drawn = [
        list(islice(_with_options(facts, options, rng, left_out), share))
        for facts, share in ((stated, number - from_held_out), (held_out, from_held_out))
    ]
    asked = [*drawn[0], *drawn[1]]
    if not asked:
        raise NothingToAsk(
            "no questions: no relation has two objects with different names in the splits "
            f"{', '.join((*settings.stated, *settings.held_out))}"
        )
    facts = np.array([fact for fact, _, _ in asked], np.int64)
    rare_E = graph.degrees <= np.quantile(graph.degrees, RARE)
    return Questions(
        facts,
        tuple(rows for _, rows, _ in asked),
        np.array([truth for _, _, truth in asked], np.int64),
        np.arange(len(asked)) < len(drawn[0]),
        rare_E[facts[:, 0]] | rare_E[facts[:, 2]],
        {reason: count for reason, count in left_out.items() if count},
    )


def balanced(relations_F: Ints, answers_F: Ints, rng: np.random.Generator) -> Ints:
    """An order of facts, int [F], every prefix of which is as balanced as possible over relations and over their
    answers.

    No answer of a relation occurs a second time before every other one has occurred once, and so on.
    """
    order = rng.permutation(len(relations_F))
    pairs = np.stack([relations_F, answers_F], axis=1)[order]
    order = order[np.argsort(_occurrences(pairs), kind="stable")]
    return order[np.argsort(_occurrences(relations_F[order, None]), kind="stable")]


def _with_options(
    facts: Ints, options: _Options, rng: np.random.Generator, left_out: Counter[str]
) -> Iterator[tuple[list[int], Ints, int]]:
    """Suitable facts in a balanced order: each with its options and the index of the true one."""
    for fact in facts[balanced(facts[:, 1], facts[:, 2], rng)].tolist():
        head, relation, tail = fact
        rows, truth = options.of(head, relation, tail, rng)
        if len(rows) >= FEWEST:
            yield fact, rows, truth
        else:
            left_out["without a second option"] += 1


def _occurrences(keys_FC: Ints) -> Ints:
    """Number of previous occurrences of each row: int [F]."""
    if not len(keys_FC):
        return np.zeros(0, np.int64)
    _, group_F, counts_G = np.unique(keys_FC, axis=0, return_inverse=True, return_counts=True)
    by_group = np.argsort(group_F.ravel(), kind="stable")
    starts_G = np.cumsum(counts_G) - counts_G
    occurrences = np.empty(len(keys_FC), np.int64)
    occurrences[by_group] = np.arange(len(keys_FC)) - np.repeat(starts_G, counts_G)
    return occurrences


def _check(graph: Graph, settings: GraphQuizSettings) -> None:
    known = {relation.id for relation in graph.relations}
    for relation in settings.relations:
        if relation not in known:
            raise ValueError(
                f"graph-quiz: the graph has no relation {relation!r}; `kepipe graph describe` lists those it has"
            )
    both = set(settings.stated) & set(settings.held_out)
    if both:
        raise ValueError(f"graph-quiz: the split {min(both)} is both stated and held out")
    if not {*settings.stated, *settings.held_out} & set(graph.splits):
        raise ValueError(
            f"graph-quiz: the graph has none of the splits {', '.join((*settings.stated, *settings.held_out))}; "
            f"it has {', '.join(graph.splits)}"
        )


def _triples(graph: Graph, splits: Sequence[str]) -> Ints:
    parts = [graph.triples(split) for split in splits]
    return np.concatenate([np.zeros((0, 3), np.int32), *parts]).astype(np.int64)


def _askable(graph: Graph, facts: Ints, settings: GraphQuizSettings, left_out: Counter[str]) -> Ints:
    """Facts of the requested relations whose head and tail have different names."""
    if settings.relations:
        asked = [graph.relation_row(relation) for relation in settings.relations]
        facts = facts[np.isin(facts[:, 1], asked)]
    names = {row: _name(graph, row) for row in np.unique(facts[:, [0, 2]]).tolist()}
    named = np.array([bool(names[head] and names[tail]) for head, _, tail in facts.tolist()], np.bool_)
    differ = np.array([names[head] != names[tail] for head, _, tail in facts.tolist()], np.bool_)
    left_out[f"without a name of at most {LONGEST} characters"] += int((~named).sum())
    left_out["of an entity and its namesake"] += int((named & ~differ).sum())
    return facts[named & differ]


def _codes(graph: Graph, facts: Ints) -> Ints:
    """A number for each triple."""
    codes: Ints = (facts[:, 0] * len(graph.relations) + facts[:, 1]) * len(graph) + facts[:, 2]
    return codes


def _name(graph: Graph, row: int) -> str:
    """The name by which options are compared; empty for an entity without a name."""
    name = graph.labels[row].strip().casefold()
    return name if len(name) <= LONGEST else ""


class _Options:
    """The objects of each relation, and the true objects of each subject, over all splits of the graph."""

    def __init__(self, graph: Graph, most: int) -> None:
        self._graph, self._most = graph, most
        triples = _triples(graph, graph.splits)
        self._true: dict[tuple[int, int], list[int]] = defaultdict(list)
        for head, relation, tail in triples.tolist():
            self._true[head, relation].append(tail)
        pairs = np.unique(triples[:, 1:], axis=0)
        self._objects = {
            relation: pairs[pairs[:, 0] == relation, 1] for relation in np.unique(pairs[:, 0]).tolist()
        }

    def of(self, head: int, relation: int, tail: int, rng: np.random.Generator) -> tuple[Ints, int]:
        """The options of a fact, and the index of the true one."""
        truths = {_name(self._graph, row) for row in self._true[head, relation]}
        others = list(self._others(self._objects[relation], truths | {""}, rng))
        options = np.sort(np.array([tail, *others], np.int64))
        return options, int(np.searchsorted(options, tail))

    def _others(self, objects: Ints, taken: set[str], rng: np.random.Generator) -> Iterator[int]:
        """Objects in random order, whose names differ from those taken and from each other: up to `most` − 1."""
        names, number = set(taken), 1
        for row in rng.permutation(objects).tolist():
            if number == self._most:
                return
            name = _name(self._graph, row)
            if name not in names:
                names.add(name)
                number += 1
                yield row
