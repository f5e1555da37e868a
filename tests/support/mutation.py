"""Mutation testing: the mutants of a module, and those that are known to be equivalent.

A mutant is one change of one expression: `<` → `<=`, `+` → `-`, `and` → `or`, `n` → `n + 1`, `not x` → `x`, the
branches of a conditional exchanged, …. Excluded are changes without an effect on results: docstrings, annotations,
raised messages, arguments of decorators (`frozen`, `slots`, a cache's size), and the keywords of `NO_BEHAVIOUR`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import yaml

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.Pow: ast.Mult,
}  # fmt: skip
NO_BEHAVIOUR = {
    "strict": "`zip` checks what its callers promise",
    "indent": "how a file of JSON is laid out",
    "ensure_ascii": "two ways to write one JSON",
    "stacklevel": "which line a warning names",
    "flush": "when, not what, is written",
    "non_blocking": "when, not what, is copied to a GPU",
}
"""Keywords whose values have no effect on results, each with the reason."""


class Change(NamedTuple):
    """The identity of a mutant, independent of line numbers: its module, the line's text, before and after."""

    file: str
    line: str
    change: str


@dataclass(frozen=True)
class Mutant:
    """A module with one expression changed: characters `start`..`stop` of its text become `after`."""

    file: Path
    line: int
    where: Change
    after: str
    start: int
    stop: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.where.change}"

    def source(self, text: str) -> str:
        """The module's text with the change."""
        return text[: self.start] + self.after + text[self.stop :]


def mutants(file: Path, text: str) -> Iterator[Mutant]:
    """All mutants of a module, in order of position."""
    lines = text.splitlines(keepends=True)
    line_starts = [0]
    for line in lines:
        line_starts.append(line_starts[-1] + len(line.encode()))
    data = text.encode()

    def offset(row: int, column: int) -> int:
        return len(data[: line_starts[row - 1] + column].decode())

    for node in _expressions(ast.parse(text)):
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = offset(node.lineno, node.col_offset)
        stop = offset(node.end_lineno, node.end_col_offset)
        before = " ".join(text[start:stop].split())
        for after in _changes(node):
            where = Change(file.as_posix(), lines[node.lineno - 1].strip(), f"{before} → {after}")
            yield Mutant(file, node.lineno, where, f"({after})", start, stop)


def equivalents(file: Path) -> dict[Change, str]:
    """Mutants without a change of behaviour, each with the reason, from a list in a file. Raises ValueError for an
    entry without a reason."""
    listed: dict[Change, str] = {}
    for module, entries in yaml.safe_load(file.read_text(encoding="utf-8")).items():
        for entry in entries:
            if not str(entry.get("why") or "").strip():
                raise ValueError(f"{file}: {module}: {entry.get('change')} has no `why`")
            listed[Change(module, entry["line"], entry["change"])] = entry["why"]
    return listed


def _expressions(tree: ast.AST) -> Iterator[ast.expr]:
    skipped: set[int] = set()
    for node in ast.walk(tree):
        excluded: list[ast.AST | None] = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        excluded += getattr(node, "decorator_list", [])
        if isinstance(node, ast.Raise | ast.Assert | ast.JoinedStr):
            excluded.append(node)
        if isinstance(node, ast.keyword) and node.arg in NO_BEHAVIOUR:
            excluded.append(node.value)
        for part in filter(None, excluded):
            skipped.update(map(id, ast.walk(part)))
    for node in ast.walk(tree):
        if isinstance(node, ast.expr) and id(node) not in skipped:
            yield node


def _changes(node: ast.expr) -> Iterator[str]:
    """Possible replacements of an expression."""
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
