"""No circle of imports, those for type checking counted too: any module can be read before those that use it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
Graph = Mapping[str, frozenset[str]]
"""Module → modules that it imports as it is loaded, or for type checking."""


def modules(root: Path) -> dict[str, Path]:
    """Dotted name → file of every module of kepipe and kg."""
    files = (file for package in ("kepipe", "kg") for file in sorted((root / package).rglob("*.py")))
    return {
        ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): file
        for file in files
    }


def imports(tree: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports outside of functions, those under `if TYPE_CHECKING:` and in classes too."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)


def imported(statement: ast.Import | ast.ImportFrom, known: Mapping[str, object]) -> Iterator[str]:
    """The modules that a statement names: of `from a import b`, a.b where that is a module, else a."""
    if isinstance(statement, ast.Import):
        names = [alias.name for alias in statement.names]
    else:
        assert not statement.level, "imports are absolute"
        inner = [f"{statement.module}.{alias.name}" for alias in statement.names]
        names = [name if name in known else str(statement.module) for name in inner]
    yield from (name for name in names if name in known)


def graph_of(root: Path) -> Graph:
    """The imports of every module, but of itself."""
    known = modules(root)
    return {
        name: frozenset(
            found
            for statement in imports(ast.parse(file.read_text(encoding="utf-8")))
            for found in imported(statement, known)
        )
        - {name}
        for name, file in known.items()
    }


def circles(graph: Graph) -> list[list[str]]:
    """A shortest cycle through each module that is on one, each cycle once."""
    found: dict[frozenset[str], list[str]] = {}
    for start in graph:
        paths, seen = [[start]], {start}
        while paths:
            path = paths.pop(0)
            if start in graph[path[-1]]:
                found.setdefault(frozenset(path), path)
                break
            further = sorted(graph[path[-1]] - seen)
            seen.update(further)
            paths += [[*path, name] for name in further]
    return list(found.values())


def test_modules_have_no_import_cycles() -> None:
    found = [" → ".join([*circle, circle[0]]) for circle in circles(graph_of(ROOT))]
    assert not found, "circles of imports:\n" + "\n".join(found)


def test_import_cycles_are_detected(tmp_path: Path) -> None:
    package = tmp_path / "kepipe"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "a.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from kepipe import b\n"
    )
    (package / "b.py").write_text("import kepipe.c\n")
    (package / "c.py").write_text("def later():\n    from kepipe import b\n    from kepipe.a import x\n")
    assert circles(graph_of(tmp_path)) == []
    (package / "c.py").write_text("class C:\n    from kepipe.a import x\n")
    assert circles(graph_of(tmp_path)) == [["kepipe.a", "kepipe.b", "kepipe.c"]]
