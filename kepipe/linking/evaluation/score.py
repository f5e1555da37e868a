"""Precision, recall and F1 of links against gold links, by exact span and entity.

Gold links may be incomplete: Wikipedia links only first mentions, and not all of them. With `complete=False`, precision
is therefore computed on the predictions that overlap a gold link; a prediction that overlaps a NIL link is an error.
With `complete=True` every prediction counts. Recall is over the gold links whose entity is in the graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from kepipe.linking.kb.links import NIL, UNKNOWN, Link


class Counts(NamedTuple):
    """Of one text: counted predictions, gold links in the graph (`given`), and correct predictions."""

    predicted: int
    given: int
    right: int


@dataclass(frozen=True)
class Scores:
    """Micro: over all links; macro: the mean over texts that have gold links in the graph."""

    precision: float
    recall: float
    f1: float
    macro_precision: float
    macro_recall: float
    macro_f1: float
    predicted: int
    given: int
    right: int

    def to_json(self) -> dict[str, Any]:
        """Plain data, fractions to six places."""
        return {name: round(value, 6) for name, value in asdict(self).items()}


def count(predicted: Iterable[Link], given: Sequence[Link], complete: bool = False) -> Counts:
    """Compare predicted and gold links of one text. Both are sorted and without overlap."""
    right = predictions = place = 0
    in_graph = {link for link in given if link.row >= 0}
    for link in predicted:
        while place < len(given) and given[place].end <= link.start:
            place += 1
        touched = []
        for other in given[place:]:
            if other.start >= link.end:
                break
            touched.append(other)
        if any(other.row == UNKNOWN for other in touched) or not (touched or complete):
            continue
        predictions += 1
        right += link in in_graph
    return Counts(predictions, len(in_graph), right)


def summarise(counts: Sequence[Counts]) -> Scores:
    """Scores over texts; a fraction with denominator 0 is 0."""
    total = Counts(*np.asarray(counts, np.int64).reshape(-1, 3).sum(axis=0).tolist())
    each = [_fractions(entry) for entry in counts if entry.given]
    precision, recall, f1 = _fractions(total)
    macro = [sum(column) / len(each) for column in zip(*each, strict=True)] if each else [0.0, 0.0, 0.0]
    return Scores(
        precision, recall, f1, macro[0], macro[1], macro[2], total.predicted, total.given, total.right
    )


def _fractions(counts: Counts) -> tuple[float, float, float]:
    precision = counts.right / counts.predicted if counts.predicted else 0.0
    recall = counts.right / counts.given if counts.given else 0.0
    f1 = 2 * precision * recall / (precision + recall) if counts.right else 0.0
    return precision, recall, f1


def candidate_recall(candidates: Iterable[Link], given: Iterable[Link]) -> tuple[int, int]:
    """The number of gold links in the graph that are among `candidates`, and the number of all of them."""
    known = set(candidates)
    in_graph = [link for link in given if link.row > NIL]
    return sum(link in known for link in in_graph), len(in_graph)
