"""House rules that no linter has: short signatures, short files, nothing of the machine that it was written on, no test
that a slow machine breaks."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.waiting import TIMEOUT

ROOT = Path(__file__).parents[1]
PARAMETERS = 8
"""Most parameters of a function, `self` and `cls` not counted."""
LINES = 350
"""Most lines of a file of code."""
HOMES = re.compile(r"(?<![\w.~])/(?:work|root|Users|home/(?!kepipe\b))/?\w")
"""Folders of somebody's machine; the image's user is called kepipe."""
WAITING = ("wait", "join", "result", "communicate", "until")
"""Methods and functions whose first argument is a timeout, if it is a number."""
CLOCKS = re.compile(r"\btime\.(?:monotonic|perf_counter|process_time)(?:_ns)?\(\)")
WORK = re.compile(r"\bsleep\((\d[\d.]*)\)")
"""In a program that a test starts: what goes on until the test ends it."""
MOMENT = 5.0
"""Seconds that a program of a test may sleep for without being ended."""
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


def short_timeouts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and source of what a machine ten times slower breaks: timeouts below `TIMEOUT`, comparisons with a clock,
    deadlines and health checks of hypothesis, and programs that a test has to end within a fixed time. Not those that
    are meant to pass, in a block that expects an exception, nor a schedule's or a server's own."""
    expected = {
        id(inner)
        for block in ast.walk(tree)
        if isinstance(block, ast.With) and any("raises(" in ast.unparse(item) for item in block.items)
        for inner in ast.walk(block)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and CLOCKS.search(ast.unparse(node)):
            yield node.lineno, ast.unparse(node)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from (
                (node.lineno, match[0])
                for match in WORK.finditer(node.value)
                if MOMENT < float(match[1]) < TIMEOUT
            )
        if isinstance(node, ast.Call) and id(node) not in expected:
            called = ast.unparse(node.func).rpartition(".")[2]
            named = {word.arg: word.value for word in node.keywords if called not in ("add", "Limits")}
            given = [
                named.get("timeout"),
                named.get("deadline"),
                *(node.args[:1] if called in WAITING else ()),
            ]
            suppressed = named.get("suppress_health_check")
            if suppressed is not None and "too_slow" not in ast.unparse(suppressed):
                yield node.lineno, ast.unparse(node)
            numbers = [value.value for value in given if isinstance(value, ast.Constant)]
            if any(isinstance(number, int | float) and 0 < number < TIMEOUT for number in numbers):
                yield node.lineno, ast.unparse(node)


def test_no_test_waits_for_a_fixed_time() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{line}: {source}"
        for file in tracked("tests/*.py")
        if file.relative_to(ROOT).parts[1] not in ("benchmarks", "gpu", "faults")
        and file not in (Path(__file__), ROOT / "tests" / "support" / "waiting.py")
        for line, source in short_timeouts(ast.parse(file.read_text(encoding="utf-8")))
    ]
    assert not found, "a slow machine breaks these; see tests/support/waiting.py:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("source", "refused"),
    [
        ("process.wait(60)", True),
        ("subprocess.run(command, timeout=300)", True),
        ("settings(deadline=200)", True),
        ("settings(suppress_health_check=[HealthCheck.function_scoped_fixture])", True),
        ("assert time.monotonic() - begun < 5", True),
        ("code = 'import time; time.sleep(60)'", True),
        ("process.wait(TIMEOUT)", False),
        ("with files.lock(file, timeout=0): pass", False),
        ("with pytest.raises(TimeoutError):\n    waiting.result(0.2)", False),
        ("code = 'import time; time.sleep(0.3)'", False),
    ],
)
def test_fixed_timeouts_are_refused(source: str, refused: bool) -> None:
    assert bool([*short_timeouts(ast.parse(source))]) is refused
