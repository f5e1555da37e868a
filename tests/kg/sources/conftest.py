"""Read a source as a user would, into a store in a temporary folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from kg.problems import Problems
from kg.sources.reading import Choices
from kg.sources.table import FORMATS, guess
from kg.store import Graph
from kg.writer import GraphWriter


class Reading(NamedTuple):
    """What came of reading a source."""

    graph: Graph
    problems: list[str]
    left_out: dict[str, int]
    bytes_told: int

    def facts(self) -> set[tuple[str, str, str]]:
        """All triples by id."""
        ids, graph = self.graph.ids, self.graph
        return {(ids[h], graph.relation(r).id, ids[t]) for h, r, t in graph.triples().tolist()}


Read = Callable[..., Reading]


@pytest.fixture
def read(tmp_path_factory: pytest.TempPathFactory) -> Read:
    def read(path: Path, choices: Choices | None = None, format: str = "", strict: bool = False) -> Reading:
        writer = GraphWriter(tmp_path_factory.mktemp("graph"))
        problems = Problems(strict=strict, keep=100)
        told = Counter[str]()

        def tick(count: int) -> None:
            told["bytes"] += count

        chosen = FORMATS[format] if format else guess(path)
        left_out = chosen.read(path, writer, problems, tick, choices or Choices())
        found = [str(problem) for problem in problems.first]
        return Reading(writer.finish(), found, {k: n for k, n in left_out.items() if n}, told["bytes"])

    return read
