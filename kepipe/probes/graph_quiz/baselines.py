"""Baselines for the quiz without a language model: scores of each question's options."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kepipe.arrays import Floats
from kepipe.probes.graph_quiz.questions import Questions
from kg.store import Graph
from kg.vectors import RELATION_IDS, TABLE, map_table, open_vectors, read_ids

TRANSE = "TransE"


def by_frequency(questions: Questions, graph: Graph, splits: Sequence[str]) -> list[Floats]:
    """How often each option is the object of the relation in the splits, for any subject."""
    counts: Counter[tuple[int, int]] = Counter()
    for split in splits:
        counts.update((relation, tail) for _, relation, tail in graph.triples(split).tolist())
    return [
        np.array([counts[relation, option] for option in options.tolist()], np.float64)
        for (_, relation, _), options in zip(questions.facts.tolist(), questions.options, strict=True)
    ]


def by_name_overlap(questions: Questions, graph: Graph) -> list[Floats]:
    """Similarity of the names of subject and option: Dice's coefficient of their letter bigrams.

    It answers "The official language of Germany is German."
    """
    pairs = {row: _pairs(graph.labels[row]) for row in _entities(questions)}
    return [
        np.array([_dice(pairs[head], pairs[option]) for option in options.tolist()])
        for (head, _, _), options in zip(questions.facts.tolist(), questions.options, strict=True)
    ]


def _entities(questions: Questions) -> set[int]:
    return set(questions.facts[:, 0].tolist()).union(*(options.tolist() for options in questions.options))


def _pairs(name: str) -> set[str]:
    letters = name.casefold()
    return {letters[place : place + 2] for place in range(max(1, len(letters) - 1))}


def _dice(first: set[str], second: set[str]) -> float:
    return 2 * len(first & second) / (len(first) + len(second))


def by_vectors(questions: Questions, graph: Graph, folder: Path) -> list[Floats]:
    """−‖h + r − t‖ (TransE, Bordes et al. 2013, eq. 1) with the graph's vectors; −inf if one is missing.

    Raises ValueError for vectors of another model, and for a folder without vectors of relations.
    """
    vectors = open_vectors(folder)
    if vectors.model not in (None, TRANSE) or not (folder / RELATION_IDS).is_file():
        raise ValueError(
            f"{folder}: expected vectors of entities and relations of {TRANSE}, by whose distances options are ranked; "
            f"these are of {vectors.model or 'entities alone'}"
        )
    relations = map_table(folder / TABLE, "relations")
    rows = {id: row for row, id in enumerate(read_ids(folder / RELATION_IDS))}
    relation_R = [rows.get(relation.id, -1) for relation in graph.relations]
    entity_E = vectors.rows(graph.ids)
    scores = []
    for (head, relation, _), options in zip(questions.facts.tolist(), questions.options, strict=True):
        found_K = np.full(len(options), -np.inf)
        known_K = entity_E[options] >= 0
        if entity_E[head] >= 0 and relation_R[relation] >= 0:
            point = vectors.matrix[entity_E[head]] + relations[relation_R[relation]]
            apart = point - vectors.matrix[entity_E[options[known_K]]]
            found_K[known_K] = -np.linalg.norm(apart, axis=1)
        scores.append(found_K)
    return scores
