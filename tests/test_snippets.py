"""Commands and Python code in the docs are valid: there are such options, programs compile, imports are found."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
from typing import Any

import pytest
import typer.main

from kepipe.cli import app
from tests.support.pages import ROOT, commands, fenced

PAGES = [
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
]
HEADS = sorted((ROOT / "pipelines").glob("*.yaml"))
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


KEPIPE = [
    (page.name, command)
    for page in [*PAGES, *HEADS]
    for line in commands(page)
    if (command := re.sub(r"^(\w+=\S+ )+", "", line)).startswith("kepipe ")
]
MAKE = [(page.name, line) for page in PAGES for line in commands(page) if line.startswith("make ")]


def parse(words: list[str]) -> None:
    """Read a command's options and arguments as the command does, but for their values: no file has to be there."""
    command: Any = typer.main.get_command(app)
    context: Any = command.make_context("kepipe", [], resilient_parsing=True)
    while hasattr(command, "commands"):
        name, words = words[0], words[1:]
        if name not in command.commands and "texts" in command.commands:  # what `kepipe link FILE` means
            name, words = "texts", [name, *words]
        assert name in command.commands, f"no command {name!r}"
        command = command.commands[name]
        context = command.context_class(command, info_name=name, parent=context)
    _, left, _ = command.make_parser(context).parse_args(args=list(words))
    several = any(getattr(one, "nargs", 1) == -1 for one in command.params)
    assert several or not left, left


@pytest.mark.parametrize(
    ("page", "command"), KEPIPE, ids=[f"{page}-{n}" for n, (page, _) in enumerate(KEPIPE)]
)
def test_shown_command_has_these_options(page: str, command: str) -> None:
    words = shlex.split(command.replace("…", ""), comments=True)[1:]
    words = words[: next((n for n, word in enumerate(words) if word in (">", ">>", "<")), len(words))]
    if "--help" not in words:
        parse([word for word in words if not word.startswith("[")])


def test_pages_show_commands() -> None:
    assert len(KEPIPE) > 60


@pytest.mark.parametrize(("page", "command"), MAKE)
def test_shown_make_target_exists(page: str, command: str) -> None:
    assert command.split()[1] in TARGETS


PYTHON = [
    (page.name, number, block)
    for page in PAGES
    if page.name != "extending.md"  # its test runs the examples
    for number, block in enumerate(fenced(page, "python"))
]


@pytest.mark.parametrize(("page", "number", "block"), PYTHON, ids=[f"{p}-{n}" for p, n, _ in PYTHON])
def test_shown_python_compiles_and_its_imports_exist(page: str, number: int, block: str) -> None:
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.Import):
            for name in node.names:
                importlib.import_module(name.name)
        elif isinstance(node, ast.ImportFrom):
            module = importlib.import_module(str(node.module))
            assert all(hasattr(module, name.name) for name in node.names), ast.unparse(node)
