"""Change the core one place at a time, and see whether a test fails: `python -m tests.benchmarks.mutants --minutes 30`.

A mutant is one change of one expression (`<` → `<=`, `+` → `-`, `and` → `or`, `n` → `n + 1`, `not x` → `x`, …). It is
tried on a copy of the checkout, by the tests of its module alone: `tests/P/test_Y.py` and `test_Y_and_more.py` of
`P/Y.py`. Which are tried is drawn by a seed, a module as often as it has places. Printed are those that no test
notices, each with its line, and the share that some test does. A mutant that changes no behaviour (a tolerance, a
wording) survives as well: who reads the list tells which.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
CORE = (
    "kepipe/files.py", "kepipe/flow", "kepipe/noise", "kepipe/nn", "kepipe/objectives", "kepipe/data/alignment.py",
    "kepipe/data/sections.py", "kepipe/finetuning/encoding.py", "kepipe/studies/intervals.py",
    "kepipe/studies/verdict.py", "kepipe/tracking/gate.py", "kg/inductive.py", "kg/ranking.py", "kg/splits.py",
)  # fmt: skip
"""Where results are made: files and folders."""
COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.Pow: ast.Mult,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """A module with one expression changed."""

    file: Path
    line: int
    before: str
    after: str
    start: int
    stop: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.before} → {self.after}"

    def source(self, text: str) -> str:
        """The module's text with the change."""
        return text[: self.start] + self.after + text[self.stop :]


def mutants(file: Path, text: str) -> Iterator[Mutant]:
    """All of a module's, in order of their places. Docstrings, annotations and what is raised are left as they are."""
    lines = [0]
    for line in text.splitlines(keepends=True):
        lines.append(lines[-1] + len(line.encode()))
    data = text.encode()

    def place(row: int, column: int) -> int:
        return len(data[: lines[row - 1] + column].decode())

    for node in _expressions(ast.parse(text)):
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = place(node.lineno, node.col_offset)
        stop = place(node.end_lineno, node.end_col_offset)
        before = text[start:stop]
        for after in _changes(node):
            yield Mutant(file, node.lineno, " ".join(before.split()), f"({after})", start, stop)


def _expressions(tree: ast.AST) -> Iterator[ast.expr]:
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise | ast.Assert | ast.JoinedStr):
            skipped.update(id(each) for each in ast.walk(node))
        for field in ("annotation", "returns"):
            if (hint := getattr(node, field, None)) is not None:
                skipped.update(id(each) for each in ast.walk(hint))
    for node in ast.walk(tree):
        if isinstance(node, ast.expr) and id(node) not in skipped:
            yield node


def _changes(node: ast.expr) -> Iterator[str]:
    """What an expression may become."""
    match node:
        case ast.Compare(left, [operator], [right]) if type(operator) in COMPARISONS:
            yield ast.unparse(ast.Compare(left, [COMPARISONS[type(operator)]()], [right]))
        case ast.BinOp(left, operator, right) if type(operator) in OPERATORS:
            if not (isinstance(left, ast.Constant) and isinstance(left.value, str)):
                yield ast.unparse(ast.BinOp(left, OPERATORS[type(operator)](), right))
        case ast.BoolOp(operator, values):
            yield ast.unparse(ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values))
        case ast.UnaryOp(ast.Not() | ast.Invert() | ast.USub(), operand):
            yield ast.unparse(operand)
        case ast.IfExp(test, body, orelse):
            yield ast.unparse(ast.IfExp(test, orelse, body))
        case ast.Constant(bool() as value):
            yield str(not value)
        case ast.Constant(int() | float() as value):
            yield repr(value + 1)


def tests_of(file: Path) -> list[Path]:
    """The tests of a module, by their names."""
    folder, stem = ROOT / "tests" / file.parent, file.stem
    found = [*folder.glob(f"test_{stem}.py"), *folder.glob(f"test_{stem}_*.py")]
    package = [*folder.parent.glob(f"test_{folder.name}.py"), *folder.parent.glob(f"test_{folder.name}_*.py")]
    whole = [*folder.glob("test_table.py")] if file.parts[:2] == ("kepipe", "objectives") else []
    return sorted({*found, *package, *whole}) or sorted(folder.glob("test_*.py"))


def passes(checkout: Path, tests: Sequence[Path], seconds: float) -> bool:
    """Whether the tests pass in a checkout, within so many seconds."""
    names = [str(test.relative_to(ROOT)) for test in tests]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", *names]
    environment = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, cwd=checkout, env=environment, capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return False  # a mutant that does not end is noticed
    return done.returncode == 0


def main() -> int:
    """Try mutants until the time is over; 1 where fewer than the wanted share are noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=0.0, help="fail where fewer are noticed")
    parser.add_argument("only", nargs="*", default=CORE, help="files and folders of the core")
    options = parser.parse_args()
    begun, rng = time.monotonic(), random.Random(options.seed)
    files = sorted(
        {
            file
            for name in options.only
            for file in ([ROOT / name] if name.endswith(".py") else (ROOT / name).rglob("*.py"))
        }
    )
    drawn = [
        each for file in files for each in mutants(file.relative_to(ROOT), file.read_text(encoding="utf-8"))
    ]
    rng.shuffle(drawn)
    print(f"{len(drawn)} mutants of {len(files)} modules")
    survived, tried, seconds = [], 0, dict[Path, float]()
    with tempfile.TemporaryDirectory() as name:
        checkout = Path(name) / "checkout"
        for part in ("kepipe", "kg", "tests", "docs", "pipelines", "pyproject.toml"):
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            checkout.mkdir(exist_ok=True)
            copy(ROOT / part, checkout / part)
        for mutant in drawn:
            if time.monotonic() - begun > 60 * options.minutes:
                break
            text, tests = (ROOT / mutant.file).read_text(encoding="utf-8"), tests_of(mutant.file)
            if mutant.file not in seconds:
                start = time.monotonic()
                if not passes(checkout, tests, 3600):
                    print(f"{mutant.file}: its tests fail as it is")
                    return 2
                seconds[mutant.file] = time.monotonic() - start
            (checkout / mutant.file).write_text(mutant.source(text), encoding="utf-8")
            tried += 1
            if passes(checkout, tests, 60 + 5 * seconds[mutant.file]):
                survived.append(mutant)
                print(f"survived: {mutant}", flush=True)
            (checkout / mutant.file).write_text(text, encoding="utf-8")
    share = 1 - len(survived) / max(1, tried)
    print(f"{tried} tried, {len(survived)} survived: {share:.1%} noticed (seed {options.seed})")
    return int(share < options.share)


if __name__ == "__main__":
    sys.exit(main())
