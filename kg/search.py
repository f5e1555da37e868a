"""Find an entity by id or name."""

from __future__ import annotations

from heapq import nsmallest

import numpy as np

from kg.store import Graph

HINT = 70.0
"""Minimum similarity of a hint, 0..100 (rapidfuzz's ratio): about one letter in three may differ."""


def find(graph: Graph, name: str) -> list[int]:
    """The rows of the entities whose id, label or alias is exactly `name`.

    The one with that id comes first, then those with the label, then those with the alias, each by prior and
    degree.
    """
    by_id = [graph.row(name)] if name in graph else []
    places = np.asarray(graph.alias_strings.places(name), np.int64)
    by_alias = np.searchsorted(graph.alias_starts, places, "right") - 1
    degrees = graph.degrees

    def weight(row: int) -> tuple[float, int, int]:
        return -float(graph.prior[row]), -int(degrees[row]), row

    ranked = [*sorted(graph.labels.places(name), key=weight), *sorted(by_alias.tolist(), key=weight)]
    return list(dict.fromkeys([*by_id, *ranked]))


def suggest(graph: Graph, name: str, most: int = 5) -> list[str]:
    """Labels for a hint in a message: those that contain `name`, shortest first, or if there are none, the most
    similar ones; ignoring case.
    """
    from rapidfuzz import fuzz, process

    name_lower, labels = name.lower(), dict.fromkeys(graph.labels)
    holding = nsmallest(most, (label for label in labels if name_lower in label.lower()), key=len)
    if holding:
        return holding
    near = process.extract(
        name_lower, labels.keys(), scorer=fuzz.ratio, processor=str.lower, score_cutoff=HINT, limit=most
    )
    return [label for label, _, _ in near]
