"""Every row of a table that a pipeline file chooses from is documented, tested, and in use.

The tables of probes and of knowledge methods ask for more, and have tests of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

from kepipe.data.formats import FORMATS
from kepipe.finetuning.table import TASKS
from kepipe.models.any_base import OTHERS
from kepipe.models.families import FAMILIES
from kepipe.objectives.table import SECTIONS
from kg.sources.table import FORMATS as SOURCES

ROOT = Path(__file__).parents[1]
TABLES: dict[str, tuple[Iterable[str], tuple[str, ...]]] = {
    "families": ({**FAMILIES, **OTHERS}, ("family",)),
    "objectives": (SECTIONS, ("objective", "name")),
    "formats": (FORMATS, ("format",)),
    "tasks": (TASKS, ("task",)),
    "sources": (SOURCES, ("source",)),
}
"""Table → the names of its rows, and the keys of a pipeline file under which they stand."""
ROWS = [pytest.param(keys, row, id=f"{name}-{row}") for name, (rows, keys) in TABLES.items() for row in rows]


@cache
def read(*patterns: str) -> str:
    files = (file for pattern in patterns for file in sorted(ROOT.glob(pattern)))
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def documented(row: str, docs: str) -> bool:
    """Whether a row of a table on a page begins with the name, or the text shows it as code."""
    return f"| {row} |" in docs or f"`{row}`" in docs


def in_use(keys: Iterable[str], row: str, files: str) -> bool:
    """Whether a key has the name for its value."""
    return bool(re.search(rf"\b({'|'.join(keys)}): *{re.escape(row)}(?![\w.-])", files))


@pytest.mark.parametrize(("keys", "row"), ROWS)
def test_row_is_documented_tested_and_in_use(keys: tuple[str, ...], row: str) -> None:
    assert documented(row, read("docs/*.md")), "no page has it"
    tests = read("tests/kepipe/**/*.py", "tests/kg/**/*.py", "tests/parity/**/*.py", "tests/support/*.py")
    assert re.search(rf"[\"':/ ]{re.escape(row)}[\"',}} \\]", tests), "no test names it"
    assert in_use(keys, row, read("pipelines/*.yaml", "docs/example/*.yaml", "docs/*.md")), (
        "no example has it"
    )


def test_missing_row_is_detected() -> None:
    assert not documented("t5", "| t5-v1.1 | encoder-decoder |")
    assert not in_use(["family"], "t5", "base: {family: t5-v1.1}")
    assert in_use(["family"], "t5", "base: {family: t5, size: mini}")
