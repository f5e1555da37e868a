"""House rules that no linter has: short signatures, short files, no local paths."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARAMETERS = 8
"""Most parameters of a function, `self` and `cls` not counted."""
LINES = 350
"""Most lines of a file of code."""
HOMES = re.compile(r"(?<![\w.~])/(?:work|root|Users|home/(?!kepipe\b))/?\w")
"""Folders of somebody's machine; the image's user is called kepipe."""
Function = ast.FunctionDef | ast.AsyncFunctionDef


def tracked(*patterns: str) -> list[Path]:
    """The project's files; those that git does not know yet too."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git repository")
    files = (ROOT / name for name in sorted(listed.stdout.splitlines()))
    return [file for file in files if file.is_file()]


def functions(tree: ast.AST) -> Iterator[Function]:
    """All functions, those within others too."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def parameters(function: Function) -> int:
    """How many parameters there are; `*values` and `**values` are one each."""
    taken = function.args
    named = [*taken.posonlyargs, *taken.args, *taken.kwonlyargs, taken.vararg, taken.kwarg]
    return sum(one is not None and one.arg not in ("self", "cls") for one in named)


def is_command(function: Function) -> bool:
    """Whether Typer makes a command of it: its parameters are the command's options."""
    if any("command" in ast.unparse(decorator) for decorator in function.decorator_list):
        return True
    hints = [ast.unparse(one.annotation) for one in function.args.args if one.annotation is not None]
    return any("typer." in hint or hint.endswith(("Option", "Argument")) for hint in hints)


def test_functions_take_few_parameters() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{function.lineno}: {function.name} takes {parameters(function)}"
        for file in tracked("kepipe/*.py", "kg/*.py")
        for function in functions(ast.parse(file.read_text(encoding="utf-8")))
        if parameters(function) > PARAMETERS
        and not (file.is_relative_to(ROOT / "kepipe" / "cli") and is_command(function))
    ]
    assert not found, f"more than {PARAMETERS} parameters:\n" + "\n".join(found)


def test_files_are_short() -> None:
    counts = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in tracked("*.py")}
    found = [f"{file.relative_to(ROOT)}: {count} lines" for file, count in counts.items() if count > LINES]
    assert not found, f"more than {LINES} lines:\n" + "\n".join(found)


def test_no_file_contains_a_local_path() -> None:
    found = []
    for file in tracked():
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:  # no text
            continue
        found += [
            f"{file.relative_to(ROOT)}:{number}: {match[0]}…"
            for number, line in enumerate(lines, start=1)
            if (match := HOMES.search(line))
        ]
    assert not found, "paths of a machine:\n" + "\n".join(found)
