"""Read a source as a user would, into a store in a temporary folder."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from kg.problems import Problems
from kg.sources.reading import Choices
from kg.sources.table import FORMATS, guess
from kg.writer import GraphWriter
from tests.support.sources import Read, Reading


@pytest.fixture
def read(tmp_path_factory: pytest.TempPathFactory) -> Read:
    def read(path: Path, choices: Choices | None = None, format: str = "", strict: bool = False) -> Reading:
        writer = GraphWriter(tmp_path_factory.mktemp("graph"))
        problems = Problems(strict=strict, keep=100)
        told = Counter[str]()

        def tick(count: int) -> None:
            told["bytes"] += count

        chosen = FORMATS[format] if format else guess(path)
        account = chosen.read(path, writer, problems, tick, choices or Choices())
        found = [str(problem) for problem in problems.first]
        return Reading(writer.finish(), found, account, told["bytes"])

    return read
