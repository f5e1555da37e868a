"""The page of formats has the rows of the tables."""

from __future__ import annotations

import re
from pathlib import Path

from kepipe.data.gold_formats import table as gold
from kepipe.data.text_formats import table as texts
from kg import vector_files
from kg.sources.table import FORMATS as GRAPHS

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading, without its head."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [
        [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines
    ]


def endings(row: tuple[str, ...]) -> str:
    return " ".join(f"`{ending}`" for ending in row)


def test_page_lists_all_graph_formats() -> None:
    assert rows("Graphs") == [[f"`{name}`", row.about, endings(row.endings)] for name, row in GRAPHS.items()]


def test_page_lists_all_text_formats() -> None:
    assert rows("Texts") == [[f"`{row.name}`", row.about, endings(row.endings)] for row in texts.FORMATS]


def test_page_lists_all_gold_formats() -> None:
    assert rows("Gold links") == [[f"`{row.name}`", row.about] for row in gold.FORMATS]


def test_page_lists_all_vector_formats() -> None:
    assert rows("Vectors") == [[f"`{name}`", row.about] for name, row in vector_files.FORMATS.items()]
