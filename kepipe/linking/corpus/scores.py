"""Scores of the links of a corpus with gold links: linker and baseline."""

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
    """Counts of a corpus: its mentions; the documents that were linked, those whose links an earlier run made, and
    the linked ones whose annotations were cached; and an entry for each document with gold links
    (`chunks.link_chunk`)."""

    mentions: int
    linked: int
    kept: int
    known: int
    documents: list[dict[str, Any]]

    @classmethod
    def read(cls, files: Sequence[Path]) -> CorpusCounts:
        """Read and add up the counts of all chunks."""
        chunks = [read_json(file) for file in files]
        documents = [entry for chunk in chunks for entry in chunk["documents"]]
        names = ("mentions", "linked", "kept", "known")
        return cls(**{name: sum(chunk[name] for chunk in chunks) for name in names}, documents=documents)


def score_corpus(
    documents: Sequence[dict[str, Any]], learned: Learned | None, complete_gold: bool, *, trained: bool
) -> dict[str, Any]:
    """Scores of linker and baseline (longest exact name, most probable entity by prior) as plain data.

    `learned`: the result of training, None if this run did not train; `complete_gold`: gold links are exhaustive;
    `trained`: the ranker was trained, by this run or an earlier one.
    """
    if not documents:
        return {"linker": {}, "baseline": {}, "note": "the corpus has no given links to score against"}
    held_out = [entry for entry in documents if entry["held_out"]]
    training = [entry for entry in documents if not entry["held_out"]]
    hits, given = (sum(entry["candidates"][place] for entry in documents) for place in (0, 1))
    scores: dict[str, Any] = {
        "linker": _summary(held_out, "linker"),
        "baseline": _summary(held_out, "baseline"),
        "candidate_recall": round(hits / given, 6) if given else 0.0,
        "documents": {"held_out": len(held_out), "training": len(training)},
        "precision_on": PRECISION_ON[complete_gold],
        "trained": trained,
    }
    if learned is not None:
        scores["cross_validated"] = {
            "linker": learned.validation.to_json(),
            "baseline": _summary(training, "baseline"),
        }
    return scores


def _summary(documents: Sequence[dict[str, Any]], system: str) -> dict[str, Any]:
    return summarise([Counts(*entry[system]) for entry in documents]).to_json()
