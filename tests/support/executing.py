"""Which tests execute which lines: a mutant is tried by the tests that execute the function it changes, fastest first.

What a fixture of a whole file executes is counted for each test of that file. A test that starts a process is taken to
execute everything, since the lines of other processes are not recorded.
"""

from __future__ import annotations

import ast
import json
import sys
import time
from collections import defaultdict
from collections.abc import Generator, Iterable, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from coverage import Coverage

STARTING = ("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system")
"""What Python reports (`sys.addaudithook`) when a process is started."""


@dataclass(frozen=True)
class Executed:
    """What one passing test executes: lines by module, relative to the checkout; `starts`: whether it starts a
    process."""

    test: str
    seconds: float
    starts: bool
    lines: dict[str, list[int]]


class Recorder:
    """A pytest plugin: records `Executed` for each test that passes, and writes all of them to a file of JSON lines."""

    def __init__(self, checkout: Path, modules: Sequence[Path], out: Path) -> None:
        self._checkout, self._out = checkout, out
        self._files = {str(checkout / module): module.as_posix() for module in modules}
        self._coverage = Coverage(data_file=None, include=list(self._files), config_file=False)
        self._seconds: dict[str, float] = {}
        self._failed: set[str] = set()
        self._starts: set[str] = set()
        self._context = ""

    def pytest_sessionstart(self) -> None:
        """Record from here on, imports too."""
        sys.addaudithook(lambda event, _: self._starts.add(self._context) if event in STARTING else None)
        start = BaseProcess.start

        def noted(process: BaseProcess) -> None:
            self._starts.add(self._context)
            start(process)

        BaseProcess.start = noted  # type: ignore[method-assign]
        self._coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Count what is executed for this test."""
        begun = time.monotonic()
        self._switch(item.nodeid)
        result = yield
        self._switch("")
        self._seconds[item.nodeid] = time.monotonic() - begun
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, Any, Any]:
        """Count what is executed for all tests, if the fixture is shared."""
        before = self._context
        self._switch(before if fixturedef.scope == "function" else "shared")
        try:
            return (yield)
        finally:
            self._switch(before)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Leave out tests that fail or are skipped."""
        if not report.passed:
            self._failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        """Write what was recorded."""
        self._coverage.stop()
        data = self._coverage.get_data()
        found: dict[str, dict[str, list[int]]] = defaultdict(dict)
        for file, module in self._files.items():
            by_context: dict[str, list[int]] = defaultdict(list)
            for line, contexts in data.contexts_by_lineno(file).items():
                for context in contexts:
                    by_context[context].append(line)
            for context, lines in by_context.items():
                found[context][module] = sorted(lines)
        versions = {module: digest(Path(file)) for file, module in self._files.items()}
        with self._out.open("w", encoding="utf-8") as stream:
            stream.write(json.dumps(versions) + "\n")
            for test, seconds in self._seconds.items():
                if test not in self._failed:
                    starts = bool({test, "shared"} & self._starts)
                    lines = _union([found[test], found["shared"]])
                    stream.write(json.dumps(asdict(Executed(test, round(seconds, 3), starts, lines))) + "\n")

    def _switch(self, context: str) -> None:
        self._context = context
        self._coverage.switch_context(context)


def digest(file: Path) -> str:
    """Of a file's content."""
    return sha256(file.read_bytes()).hexdigest()[:16]


def read(file: Path) -> tuple[dict[str, str], list[Executed]]:
    """What a `Recorder` wrote: the digest of each module, and the tests."""
    versions, *tests = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    return versions, [Executed(**test) for test in tests]


def function_lines(text: str, line: int) -> range | None:
    """The lines of the body of the innermost function around a line; None at the top of a module or class, where a
    value is computed as the module is imported."""
    bodies = [
        range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return min((body for body in bodies if line in body), key=len, default=None)


def chosen(tests: Iterable[Executed], module: Path, body: range | None) -> list[str]:
    """The tests that execute a function of a module (None: anything of it inside functions), fastest first."""
    name = module.as_posix()
    fitting = [
        test
        for test in tests
        if test.starts or (name in test.lines if body is None else set(body) & set(test.lines.get(name, ())))
    ]
    return [test.test for test in sorted(fitting, key=lambda test: test.seconds)]


def _union(parts: Sequence[dict[str, list[int]]]) -> dict[str, list[int]]:
    modules = {module for part in parts for module in part}
    return {
        module: sorted({line for part in parts for line in part.get(module, ())})
        for module in sorted(modules)
    }
