"""Nodes and edges in separate tables: Neo4j's import and export as CSV, KGX, and other tables of edges beside tables
with a column `id`.

A table with columns of heads and tails is a table of edges; another table with ids is a table of nodes. The columns of
nodes are recognised by name, without Neo4j's types (`name:string`, `synonyms:string[]`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from kg.problems import Problems
from kg.sources.account import Account
from kg.sources.collected import Collected
from kg.sources.delimited_rows import read_rows
from kg.sources.header_names import known_places
from kg.sources.reading import Choices, Tick, unpacked_name
from kg.sources.vocabularies import Role
from kg.writer import GraphWriter

ENDINGS = (".csv", ".tsv")
_ID = re.compile(r"(?P<name>[^:]*):ID(?:\((?P<space>[^)]*)\))?(?:\{.*\})?", re.IGNORECASE)
_END = re.compile(r":(?:START|END)_ID(?:\((?P<space>[^)]*)\))?(?:\{.*\})?", re.IGNORECASE)
_HEADER = re.compile(r"(?P<stem>.*?)[-_.]header", re.IGNORECASE)
_ROLES = {
    Role.NAME: ("name", "label", "title", "preferred_name", "preferred_label", "display_name", "term"),
    Role.ALIAS: (
        "aliases", "alias", "synonym", "synonyms", "exact_synonym", "related_synonym", "narrow_synonym",
        "broad_synonym", "alt_label", "full_name", "also_known_as",
    ),
    Role.DESCRIPTION: ("description", "definition", "desc", "summary", "comment", "tagline"),
    Role.TYPE: ("category", ":label", "_labels", "labels", "type", "types", "entity_type", "node_type"),
    Role.FURTHER_ID: ("xref", "xrefs", "same_as", "equivalent_identifiers", "iri", "uri"),
}  # fmt: skip
_SEVERAL = re.compile(r"[|;]")
_MANY = {Role.ALIAS, Role.TYPE, Role.FURTHER_ID}
_NAMED = ("id", "_id", "identifier", "node_id", "curie")


class _Table(NamedTuple):
    file: Path
    header: list[str]
    own_header: bool
    """Whether the header is the first line of the file itself."""
    ids: int | None
    space: str
    ends: list[int]
    spaces: tuple[str, str]


def find_tables(path: Path) -> list[Path]:
    """The tables of a folder, or a single file of nodes or edges. Raises ValueError if there is none."""
    found = (
        [file for file in sorted(path.iterdir()) if _is_table(file)]
        if path.is_dir()
        else [path] * path.is_file()
    )
    if not found:
        raise ValueError(f"{path}: expected a folder of .csv or .tsv files of nodes and of edges, found none")
    return found


def is_node_tables(path: Path) -> bool:
    """Whether a folder holds tables of nodes and edges, or a file is Neo4j's export of both."""
    if path.is_file() and not _is_table(path):
        return False
    try:
        tables = list(_tables(find_tables(path), Problems(), lambda _: None))
    except (ValueError, OSError):
        return False
    has_nodes, has_edges = any(table.ids is not None for table in tables), any(table.ends for table in tables)
    if path.is_file():
        return has_nodes and has_edges and "_id" in tables[0].header
    return has_nodes and has_edges


def read_node_tables(
    path: Path, writer: GraphWriter, problems: Problems, tick: Tick, _choices: Choices
) -> Account:
    """Read all tables at `path`. An id that occurs in several of Neo4j's id spaces is prefixed with its space."""
    graph = Collected()
    tables = list(_tables(find_tables(path), problems, lambda _: None))
    if not any(table.ends for table in tables):
        raise ValueError(
            f"{path}: no table has edges: expected columns such as :START_ID, :END_ID, :TYPE or subject, "
            f"predicate, object"
        )
    shared = _shared(tables)
    for table in tables:
        if table.ids is None and not table.ends:
            graph.account.leave("files", table.file.name)
            continue
        for number, row in _rows(table, problems, tick):
            if len(row) != len(table.header):
                problems.add(
                    table.file, number, f"expected {len(table.header)} columns, found {len(row)}: {row[:4]}"
                )
                continue
            _take(table, row, number, graph, problems, shared)
        _leave_columns(table, graph.account)
    if path.is_dir():
        for file in sorted(path.iterdir()):
            if file.is_file() and not _is_table(file):
                graph.account.leave("files", file.name)
    return graph.store(writer)


def _is_table(file: Path) -> bool:
    return file.is_file() and unpacked_name(file).lower().endswith(ENDINGS) and not file.name.startswith(".")


def _tables(files: Sequence[Path], problems: Problems, tick: Tick) -> Iterator[_Table]:
    headers = {}
    for file in files:
        rows = read_rows(file, problems, tick)
        header = next((row for _, row in rows), [])
        stem = _HEADER.fullmatch(unpacked_name(file).rpartition(".")[0])
        if stem is not None:
            headers[stem["stem"]] = header
        else:
            given = next((headers[stem] for stem in headers if file.name.startswith(stem)), None)
            yield _table(file, header if given is None else given, given is None)


def _table(file: Path, header: list[str], own: bool) -> _Table:
    names = [name.strip() for name in header]
    found = [(place, match) for place, name in enumerate(names) if (match := _ID.fullmatch(name))]
    lower = [name.lower() for name in names]
    ends = known_places(names)
    ids = next((lower.index(name) for name in _NAMED if name in lower), None)
    space = ""
    if found:
        ids, space = found[0][0], found[0][1]["space"] or ""
    if ends and "_id" not in lower:
        ids = None  # an edge may have its own id
    spaces = [
        (match["space"] or "") if (match := _END.fullmatch(names[place])) else "" for place in ends[::2]
    ]
    return _Table(file, names, own, ids, space, ends, (spaces[0], spaces[1]) if spaces else ("", ""))


def _rows(table: _Table, problems: Problems, tick: Tick) -> Iterator[tuple[int, list[str]]]:
    rows = read_rows(table.file, problems, tick)
    if table.own_header:
        next(rows, None)
    return rows


def _shared(tables: Sequence[_Table]) -> set[str]:
    """Ids that occur in several id spaces."""
    spaces = {table.space for table in tables if table.ids is not None}
    seen: dict[str, str] = {}
    shared: set[str] = set()
    if len(spaces) > 1:
        for table in tables:
            if table.ids is not None:
                for _, row in _rows(table, Problems(), lambda _: None):
                    if len(row) == len(table.header):
                        id = row[table.ids].strip()
                        if seen.setdefault(id, table.space) != table.space:
                            shared.add(id)
    return shared


def _take(
    table: _Table, row: list[str], number: int, graph: Collected, problems: Problems, shared: set[str]
) -> None:
    cells = [cell.strip() for cell in row]

    def named(place: int, space: str) -> str:
        return f"{space}:{cells[place]}" if space and cells[place] in shared else cells[place]

    if table.ends and cells[table.ends[0]]:
        head, relation, tail = table.ends
        if not (cells[relation] and cells[tail]):
            problems.add(table.file, number, "the relation or the tail is empty")
            return
        start, end = (named(place, space) for place, space in zip((head, tail), table.spaces, strict=True))
        label = cells[relation].removeprefix("biolink:")
        graph.relation(cells[relation], label.replace("_", " ") if label != cells[relation] else label)
        graph.triple(
            start,
            cells[relation],
            end,
            f"{table.header[head]}, {table.header[relation]}, {table.header[tail]}",
        )
    elif table.ids is not None:
        if not cells[table.ids]:
            problems.add(table.file, number, "the id is empty")
            return
        id = named(table.ids, table.space)
        graph.entity(id)
        for place, name in enumerate(table.header):
            role = _role(name)
            if role is not None and cells[place] and place != table.ids:
                for text in _values(cells[place], name, role):
                    graph.tell(id, role, text, name.partition(":")[0] or name)


def _values(cell: str, name: str, role: Role) -> list[str]:
    """The values of a cell: several if the column holds lists, such as ":Person:Actor", "a;b" or "a|b"."""
    if role not in _MANY:
        return [cell]
    return cell.strip(":").split(":") if name == "_labels" else _SEVERAL.split(cell)


def _role(name: str) -> Role | None:
    """The role of a column of nodes."""
    plain = name.lower() if name.startswith(":") else name.lower().partition(":")[0]
    return next((role for role, names in _ROLES.items() if plain in names), None)


def _leave_columns(table: _Table, account: Account) -> None:
    for place, name in enumerate(table.header):
        if place != table.ids and place not in table.ends and (table.ids is None or _role(name) is None):
            account.leave("columns", f"{table.file.name} {name}")
