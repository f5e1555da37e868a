"""The linker: a text and its reading → mentions, with everything it needs in one folder.

linker.json              weights by feature name, threshold, table of types
lexicon/ knowledge/ casing/   columns (`.npy`, strings); nothing is pickled
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kepipe.linking.casing import Casing
from kepipe.linking.decide import decide
from kepipe.linking.features import FEATURES, Affinity, Situation, describe
from kepipe.linking.gazetteer import Gazetteer, Matches
from kepipe.linking.gold import Link
from kepipe.linking.knowledge import Knowledge
from kepipe.linking.learn import Lesson
from kepipe.linking.ranker import Ranker
from kepipe.linking.reading import Reading
from kepipe.linking.shortforms import add_short_forms
from kepipe.linking.surroundings import GROUPS
from kepipe.linking.variants import variants
from kepipe.types import Mention
from kg.lexicon import Lexicon
from kg.store import Graph

FORMAT = 2
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Linker:
    """Finds and disambiguates mentions of a graph's entities."""

    gazetteer: Gazetteer
    knowledge: Knowledge
    casing: Casing
    ranker: Ranker

    @classmethod
    def build(
        cls, graph: Graph, casing: Casing | None = None, min_length: int = 2, limit: int = 20
    ) -> Linker:
        """An untrained linker over all names of a graph; `min_length`, `limit` as in `Gazetteer`."""
        gazetteer = Gazetteer(Lexicon.build(graph, variants=variants), min_length, limit)
        return cls(gazetteer, Knowledge.build(graph), casing or Casing(), Ranker.default())

    def link(
        self,
        text: str,
        reading: Reading,
        title: str = "",
        threshold: float | None = None,
        gate: bool = False,
    ) -> tuple[Mention, ...]:
        """The mentions of a text in order, without overlap; `threshold`: instead of the ranker's.

        `gate`: only what NER takes for a name, no more and no less, is linked; without NER everything may be.
        """
        matches, features, _ = self.examine(text, reading, title)
        scores = self.ranker.score(features)
        if gate and reading.names is not None:
            scores = np.where(features[:, FEATURES.index("name_same")] > 0, scores, -1.0)
        ids = self.knowledge.ids
        threshold = self.ranker.threshold if threshold is None else threshold
        return tuple(
            Mention(int(matches.starts[match]), int(matches.ends[match]), ids[row], score)
            for match, row, score in decide(matches, scores, threshold)
        )

    def find(self, text: str, reading: Reading) -> Matches:
        """All candidates of a text."""
        return add_short_forms(text, self.gazetteer.find(text), reading.names)

    def examine(self, text: str, reading: Reading, title: str = "") -> tuple[Matches, Floats, Ints]:
        """All candidates of a text, their features [P, F], and the NER group of each [P]."""
        matches = self.find(text, reading)
        if not len(matches):
            return matches, np.zeros((0, len(FEATURES))), np.zeros(0, np.int64)
        situation = Situation(text, title, matches, reading)
        features, groups = describe(situation, self.knowledge, self.casing, self.ranker.affinity)
        return matches, features, groups

    def lesson(
        self,
        text: str,
        reading: Reading,
        given: Sequence[Link],
        title: str = "",
        span: tuple[int, int] | None = None,
    ) -> Lesson:
        """A text with given links, to learn from; `span`: only what lies in these characters counts."""
        matches, features, groups = self.examine(text, reading, title)
        return Lesson(
            matches, features, groups, self.knowledge.types[matches.rows], given, span or (0, len(text))
        )

    def save(self, folder: Path) -> None:
        """Write everything into `folder`, which is made."""
        self.gazetteer.lexicon.save(folder / "lexicon")
        self.knowledge.save(folder / "knowledge")
        self.casing.save(folder / "casing")
        ranker = self.ranker
        about = {
            "format": FORMAT,
            "min_length": self.gazetteer.min_length,
            "limit": self.gazetteer.limit,
            "trained": ranker.trained,
            "threshold": ranker.threshold,
            "bias": ranker.bias,
            "weights": dict(zip(FEATURES, ranker.weights.tolist(), strict=True)),
            "affinity": dict(zip(GROUPS, ranker.affinity.table.tolist(), strict=True)),
        }
        (folder / "linker.json").write_text(json.dumps(about, indent=1), encoding="utf-8")

    @classmethod
    def open(cls, folder: Path) -> Linker:
        """The linker that `save` wrote. Raises ValueError where `folder` holds none."""
        file = folder / "linker.json"
        try:
            about = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ValueError(f"{folder}: holds no linker (linker.json is missing)") from None
        if about.get("format") != FORMAT or set(about["weights"]) != set(FEATURES):
            raise ValueError(f"{file}: made by another version of kepipe; link again to make it anew")
        ranker = Ranker(
            np.asarray([about["weights"][name] for name in FEATURES]),
            about["bias"],
            about["threshold"],
            Affinity(np.asarray([about["affinity"][group] for group in GROUPS])),
            about["trained"],
        )
        gazetteer = Gazetteer(Lexicon.open(folder / "lexicon"), about["min_length"], about["limit"])
        return cls(gazetteer, Knowledge.open(folder / "knowledge"), Casing.open(folder / "casing"), ranker)

    @cached_property
    def degrees(self) -> Ints:
        """With how many others each entity stands in a triple: [E]."""
        return np.diff(self.knowledge.neighbours.indptr)

    def row(self, id: str) -> int:
        """The row of an entity. Raises KeyError."""
        return self._rows[id]

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {id: row for row, id in enumerate(self.knowledge.ids)}

    def with_ranker(self, ranker: Ranker) -> Linker:
        """The same linker with another ranker."""
        return replace(self, ranker=ranker)
