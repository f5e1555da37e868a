"""All measures of drift on two windows, corrected for multiple testing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kepipe.data.document import Document
from kepipe.drift.base import Drift, NotMeasurable, Windows
from kepipe.drift.table import MEASURES
from kepipe.studies.significance import holm

LEVEL = 0.01
"""Default family-wise error rate: the chance of a false alarm by any of the measures."""
MAX_DOCUMENTS = 250
"""Maximum number of documents per window."""


@dataclass(frozen=True)
class Report:
    """The results by measure. `drifted`: measures that found drift; `skipped`: measure → why it was not computed."""

    found: Mapping[str, Drift]
    drifted: tuple[str, ...]
    skipped: Mapping[str, str]
    documents: tuple[int, int]
    """Numbers of reference and of new documents."""

    @property
    def headline(self) -> str:
        """The outcome in one sentence."""
        if not self.found:
            return f"drift was not measured: {'; '.join(self.skipped.values()) or 'no new documents'}"
        if not self.drifted:
            return f"no drift in {self.documents[1]} new documents"
        parts = (
            f"{name} ({MEASURES[name].statistic} {self.found[name].statistic:.3g}, p {self.found[name].p:.3g})"
            for name in self.drifted
        )
        return f"drift in {self.documents[1]} new documents: {', '.join(parts)}"


def check(windows: Windows, level: float = LEVEL, names: Collection[str] = tuple(MEASURES)) -> Report:
    """Compute the measures on the windows. The chance of any false alarm is at most `level`, by Holm's procedure
    (1979)."""
    found: dict[str, Drift] = {}
    skipped: dict[str, str] = {}
    for name, measure in MEASURES.items():
        if name in names:
            try:
                found[name] = measure.compare(windows)
            except NotMeasurable as reason:
                skipped[name] = str(reason)
    drifted = holm({name: drift.p for name, drift in found.items()}, level)
    return Report(found, drifted, skipped, (len(windows.reference), len(windows.new)))


def draw(
    documents: Sequence[Document], rng: np.random.Generator, most: int = MAX_DOCUMENTS
) -> list[Document]:
    """A random sample of at most `most` documents, in their original order."""
    chosen = np.sort(rng.permutation(len(documents))[:most])
    return [documents[number] for number in chosen]
