"""Find an entity by what people call it."""

from __future__ import annotations

from itertools import islice

import numpy as np

from kg.store import Graph


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
    """The first labels that hold `name`, in any case: for a message that says what there is."""
    wanted = name.lower()
    return list(islice((label for label in graph.labels if wanted in label.lower()), most))
