"""All problems are counted; the first few are kept with their location."""

from __future__ import annotations

from pathlib import Path

import pytest

from kg.problems import Problems


def test_all_are_counted_and_the_first_kept() -> None:
    problems = Problems(keep=3)
    assert not problems
    assert problems.summary() == ""
    for line in range(1, 11):
        problems.add(Path("/data/mine.tsv"), line, "two columns")
    assert problems.count == 10
    assert problems.summary(shown=2).splitlines() == [
        "10 problems in the input:",
        "  mine.tsv:1: two columns",
        "  mine.tsv:2: two columns",
        "  … and 8 more (`strict` refuses the first)",
    ]
    assert problems.to_json()["first"][2] == {"file": "mine.tsv", "line": 3, "message": "two columns"}


def test_strict_names_the_whole_path() -> None:
    with pytest.raises(ValueError, match=r"^/data/mine\.tsv:7: two columns$"):
        Problems(strict=True).add(Path("/data/mine.tsv"), 7, "two columns")
