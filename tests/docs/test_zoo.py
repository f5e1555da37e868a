"""The page about the zoo matches the tables."""

from pathlib import Path

import pytest

from kepipe.models.any_base import TRAINED
from kepipe.models.families import FAMILIES
from kepipe.models.fitted_families import FITTED
from kepipe.objectives.table import TABLE

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "zoo.md").read_text(encoding="utf-8")


def rows(heading: str) -> dict[str, list[str]]:
    """First cell → the others, of the table under a heading."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {first: rest for first, *rest in cells}


def test_page_lists_the_families_of_the_table() -> None:
    listed = rows("Families")
    assert list(listed) == list(FAMILIES)
    for name, family in FAMILIES.items():
        stacks = [stack for stack in ("encoder", "decoder") if getattr(family, stack)]
        assert listed[name][:2] == ["-".join(stacks), ", ".join(family.sizes)], name


def test_page_lists_the_fitted_families_of_the_table() -> None:
    listed = rows("Before the transformer")
    assert {name: cells[0] for name, cells in listed.items()} == {
        name: row.about for name, row in FITTED.items()
    }


def test_page_lists_the_networks_of_the_table() -> None:
    listed = rows("Networks")
    assert {name: cells[0] for name, cells in listed.items()} == {
        name: row.about for name, row in TRAINED.items()
    }


def test_page_lists_the_objectives_of_the_table() -> None:
    listed = rows("Objectives")
    assert list(listed) == list(TABLE)
    for name, row in TABLE.items():
        assert listed[name][:2] == [row.stack, "yes" if row.begin else "no"], name


@pytest.mark.parametrize("file", ["table", "span_masking"])
def test_shown_diff_is_the_existing_code(file: str) -> None:
    shown = PAGE.split("```diff\n")[1].split("```")[0].split(f"+++ b/kepipe/objectives/{file}.py\n")[1]
    added = [line[1:] for line in shown.split("\n\n---")[0].splitlines() if line.startswith("+")]
    code = (ROOT / "kepipe" / "objectives" / f"{file}.py").read_text(encoding="utf-8")
    assert added
    assert "\n".join(added) in code if file == "span_masking" else all(line in code for line in added)
