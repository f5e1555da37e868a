"""The layout of the tests: a test file is in the folder of its module, shared code in tests/support."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"
FILES = sorted(TESTS.rglob("*.py"))
HOUSE_RULES = (
    "test_imports.py",
    "test_layout.py",
    "test_mutants.py",
    "test_pages.py",
    "test_style.py",
    "test_snippets.py",
    "test_tables.py",
    "docs/test_yaml.py",
)
"""Tests of all modules or pages at once, and of what tries them."""
TEST_FILES = [
    file for file in sorted(TESTS.rglob("test_*.py")) if file.relative_to(TESTS).as_posix() not in HOUSE_RULES
]

SHARED = ("tests.support", "tests.benchmarks", "tests.gpu", "tests.faults")
OF_THE_WHOLE = ("gpu", "parity", "pipelines")
"""Folders whose tests belong to no single module."""

IMPORT = re.compile(r"""^\s*["']?(?:from|import) +(tests\b[\w.]*|conftest\b|\.[\w.]*)""", re.MULTILINE)
"""An import from the tests, in the code or in a program that a test runs in a process of its own."""


def wrong_imports(source: str) -> list[str]:
    """Modules of the tests that are imported although nobody may import them: test modules, conftests."""
    return [
        name
        for name in IMPORT.findall(source)
        if not any(name == shared or name.startswith(f"{shared}.") for shared in SHARED)
    ]


def subject(file: Path) -> str | None:
    """The module, package or page that a test file is about; None if nothing of its name lies in that place.

    `tests/P/test_Y.py` or `tests/P/test_Y_and_more.py` is about the module `P/Y.py`, the package `P/Y/` as a whole,
    or the page `P/Y.md`.
    """
    folder = ROOT / file.parent.relative_to(TESTS)
    name = file.stem.removeprefix("test_")
    there = {path.stem.replace("-", "_") for path in folder.iterdir()} if folder.is_dir() else set()
    fitting = [each for each in there if name == each or name.startswith(f"{each}_")]
    return max(fitting, key=len, default=None)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_nothing_imports_a_test_or_a_conftest(file: Path) -> None:
    assert not wrong_imports(file.read_text(encoding="utf-8")), "what is shared belongs to tests/support"


@pytest.mark.parametrize("file", TEST_FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_file_is_in_the_folder_of_its_module(file: Path) -> None:
    place = file.relative_to(TESTS).parent.as_posix()
    if place in OF_THE_WHOLE:
        return
    assert subject(file), f"no {file.stem.removeprefix('test_')}.py and no package of that name in {place}"


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("tests.support.rows import rows", []),
        ("tests.benchmarks import choices", []),
        ("tests.kepipe.stages.test_pretrain import run", ["tests.kepipe.stages.test_pretrain"]),
        ("tests.supportive import rows", ["tests.supportive"]),
        ("conftest import graph", ["conftest"]),
        (".conftest import graph", [".conftest"]),
    ],
)
def test_imports_are_detected_in_code_and_in_programs(line: str, wrong: list[str]) -> None:
    for before in ("", "    ", '    "'):
        assert wrong_imports(f"import sys\n{before}from {line}\n") == wrong


def test_misplaced_test_is_detected() -> None:
    assert subject(TESTS / "kepipe/models/test_query_positions.py") is None
    assert subject(TESTS / "kepipe/nn/test_query_positions.py") == "query_positions"
    assert subject(TESTS / "kepipe/test_models_of_all_sizes.py") == "models"
    assert subject(TESTS / "kepipe/nowhere/test_nothing.py") is None
