"""How good the links of a corpus are: linker and baseline side by side, where the corpus has given links."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kepipe.linking.evaluation.score import Counts, summarise
from kepipe.linking.training.learn import Learned
from kg.regular_files import read_json

PRECISION_ON = {
    True: "all predictions",
    False: "predictions that overlap a given link; given links mark only some of the mentions",
}


class CorpusCounts(NamedTuple):
    """The mentions of a corpus, and an entry for each document that has given links (`chunks.link_chunk`)."""

    mentions: int
    documents: list[dict[str, Any]]

    @classmethod
    def read(cls, files: Sequence[Path]) -> CorpusCounts:
        """Those of all chunks."""
        chunks = [read_json(file) for file in files]
        documents = [entry for chunk in chunks for entry in chunk["documents"]]
        return cls(sum(chunk["mentions"] for chunk in chunks), documents)


def score_corpus(
    documents: Sequence[dict[str, Any]], learned: Learned | None, complete_gold: bool
) -> dict[str, Any]:
    """Scores of linker and baseline (longest exact name, likeliest entity) as plain data.

    `learned`: what training gave; `complete_gold`: given links mark everything that could be linked.
    """
    if not documents:
        return {"linker": {}, "baseline": {}, "note": "the corpus has no given links to score against"}
    held = [entry for entry in documents if entry["held_out"]]
    rest = [entry for entry in documents if not entry["held_out"]]
    hits, given = (sum(entry["candidates"][place] for entry in documents) for place in (0, 1))
    scores: dict[str, Any] = {
        "linker": _summary(held, "linker"),
        "baseline": _summary(held, "baseline"),
        "candidate_recall": round(hits / given, 6) if given else 0.0,
        "documents": {"held_out": len(held), "training": len(rest)},
        "precision_on": PRECISION_ON[complete_gold],
        "trained": learned is not None,
    }
    if learned is not None:
        scores["cross_validated"] = {
            "linker": learned.validation.to_json(),
            "baseline": _summary(rest, "baseline"),
        }
    return scores


def _summary(documents: Sequence[dict[str, Any]], who: str) -> dict[str, Any]:
    return summarise([Counts(*entry[who]) for entry in documents]).to_json()
