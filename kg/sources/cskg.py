"""The edges of CSKG and KGTK (`cskg.tsv`): columns `node1`, `relation`, `node2`, and `node1;label` with names,
separated by `|`."""

from __future__ import annotations

from pathlib import Path

from kg.problems import Problems
from kg.sources.account import Account
from kg.sources.collected import Collected
from kg.sources.reading import Choices, Tick, explain, read_lines
from kg.sources.vocabularies import Role
from kg.writer import GraphWriter

_NEEDED = ("node1", "relation", "node2")


def read_cskg(file: Path, writer: GraphWriter, problems: Problems, tick: Tick, _choices: Choices) -> Account:
    """Read `file` into `writer`. Raises ValueError if a column is missing."""
    graph = Collected()
    header: list[str] = []
    seen_names: set[tuple[str, str]] = set()
    for number, line in read_lines(file, problems, tick):
        try:
            cells = line.decode().rstrip("\r\n").split("\t")
        except ValueError as error:
            problems.add(file, number, explain(error))
            continue
        if not header:
            header = ["relation" if cell == "label" else cell for cell in cells]
            _require(file, cells, header)
            continue
        row = dict(zip(header, cells, strict=False))
        if len(cells) != len(header) or not all(row.get(name) for name in _NEEDED):
            problems.add(
                file, number, f"expected {len(header)} columns with node1, relation and node2: {cells[:4]}"
            )
            continue
        for name in ("node1", "node2"):
            names = row.get(f"{name};label", "")
            if names and (row[name], names) not in seen_names:
                seen_names.add((row[name], names))
                for text in names.split("|"):
                    graph.tell(row[name], Role.NAME, text.strip("\"'"), f"{name};label")
        if row.get("relation;label"):
            graph.relation(row["relation"], row["relation;label"])
        graph.triple(row["node1"], row["relation"], row["node2"], "node1, relation, node2")
    for name in header:
        if name not in _NEEDED and not name.endswith(";label"):
            graph.account.leave("columns", name)
    return graph.store(writer)


def _require(file: Path, cells: list[str], header: list[str]) -> None:
    missing = [name for name in _NEEDED if name not in header]
    if missing:
        raise ValueError(f"{file}:1: no column {missing[0]!r}; the header has {', '.join(cells)}")
