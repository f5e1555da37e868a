"""Why a linker decided as it did: for each name in a text its candidates, their scores, and what each feature adds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from kepipe.linking.decide import decide
from kepipe.linking.features import FEATURES
from kepipe.linking.linker import Linker
from kepipe.linking.reading import Reading

Outcome = Literal["linked", "below the threshold", "another name overlaps"]


@dataclass(frozen=True)
class Choice:
    """A candidate: `parts` are (feature, its value, what it adds to the logit), the weightiest first."""

    entity: str
    label: str
    prior: float
    score: float
    parts: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True)
class Explained:
    """A name at `start`..`end` of the text, its candidates (the best first), and what became of it."""

    start: int
    end: int
    surface: str
    outcome: Outcome
    choices: tuple[Choice, ...]


def explain(
    linker: Linker, text: str, reading: Reading, title: str = "", threshold: float | None = None
) -> list[Explained]:
    """Every name of the graph in the text, in order, linked or not."""
    threshold = linker.ranker.threshold if threshold is None else threshold
    matches, features, _ = linker.examine(text, reading, title)
    scores = linker.ranker.score(features)
    linked = {match for match, _, _ in decide(matches, scores, threshold)}
    explained = []
    for match in range(len(matches)):
        places = np.flatnonzero(matches.owners == match)
        places = places[np.argsort(-scores[places], kind="stable")]
        best = scores[places[0]]
        outcome: Outcome = "another name overlaps" if best >= threshold else "below the threshold"
        start, end = int(matches.starts[match]), int(matches.ends[match])
        explained.append(
            Explained(
                start,
                end,
                text[start:end],
                "linked" if match in linked else outcome,
                tuple(
                    _choice(
                        linker,
                        int(matches.rows[place]),
                        matches.priors[place],
                        scores[place],
                        features[place],
                    )
                    for place in places.tolist()
                ),
            )
        )
    return explained


def _choice(linker: Linker, row: int, prior: float, score: float, values: npt.NDArray[np.float64]) -> Choice:
    adds = values * linker.ranker.weights
    order = np.argsort(-np.abs(adds), kind="stable")
    parts = tuple(
        (FEATURES[place], float(values[place]), float(adds[place])) for place in order.tolist() if adds[place]
    )
    knowledge = linker.knowledge
    return Choice(knowledge.ids[row], knowledge.labels[row], float(prior), float(score), parts)
