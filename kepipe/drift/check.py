"""All measures on two windows, and whether together they say that the text has changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kepipe.data.document import Document
from kepipe.drift.base import Drift, NothingToTell, Windows
from kepipe.drift.table import MEASURES
from kepipe.studies.significance import holm

LEVEL = 0.01
"""How often windows of one source are told apart, all measures together."""
LARGEST = 250
"""Documents of a window that are looked at."""


@dataclass(frozen=True)
class Report:
    """What each measure found, which of them tell of drift, and why others found nothing."""

    found: Mapping[str, Drift]
    drifted: tuple[str, ...]
    skipped: Mapping[str, str]
    documents: tuple[int, int]
    """How many before and new ones were compared."""

    @property
    def headline(self) -> str:
        """The outcome in a sentence."""
        if not self.found:
            return f"nothing to tell: {'; '.join(self.skipped.values()) or 'no new documents'}"
        if not self.drifted:
            return f"no drift in {self.documents[1]} new documents"
        parts = (
            f"{name} ({MEASURES[name].statistic} {self.found[name].statistic:.3g}, p {self.found[name].p:.3g})"
            for name in self.drifted
        )
        return f"drift in {self.documents[1]} new documents: {', '.join(parts)}"


def check(windows: Windows, level: float = LEVEL, names: Collection[str] = tuple(MEASURES)) -> Report:
    """Put the measures to the windows. Together they raise a false alarm with a probability of `level` at most, by
    Holm's procedure (1979)."""
    found: dict[str, Drift] = {}
    skipped: dict[str, str] = {}
    for name, measure in MEASURES.items():
        if name in names:
            try:
                found[name] = measure.compare(windows)
            except NothingToTell as reason:
                skipped[name] = str(reason)
    drifted = holm({name: drift.p for name, drift in found.items()}, level)
    return Report(found, drifted, skipped, (len(windows.reference), len(windows.new)))


def draw(documents: Sequence[Document], rng: np.random.Generator, most: int = LARGEST) -> list[Document]:
    """At most so many of them, in their order."""
    chosen = np.sort(rng.permutation(len(documents))[:most])
    return [documents[number] for number in chosen]
