"""Triples in a table with a header: CSV, or any file of delimited columns of which three are named.

The columns are chosen by name (`columns`), or are the first three. Where the file also has `headLabel` or
`head_label` beside a column `head` (as exports of the Wikidata Query Service do), it gives the names, and is not one
of the first three. A line break in a cell is read as a blank, since ids stand one a line elsewhere.
"""

from __future__ import annotations

import csv
import re
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from kg.problems import Problems
from kg.schema import Entity, Relation
from kg.sources.reading import Choices, Tick, TriplesById, one_line, read_lines
from kg.writer import GraphWriter

_NO_UTF8 = re.compile("[\udc80-\udcff]")
"""What a byte that is no UTF-8 was read as."""


class _Columns(NamedTuple):
    """Where id and label of head, relation and tail stand; the id's place again where there are no labels."""

    ids: tuple[int, int, int]
    labels: tuple[int, int, int]


def read_delimited(
    file: Path, writer: GraphWriter, problems: Problems, tick: Tick, choices: Choices
) -> Counter[str]:
    """Read `file` into `writer`. Heeds `columns`; raises ValueError where the header lacks one."""
    triples = TriplesById(writer)
    rows = _rows(file, problems, tick)
    _, header = next(rows, (1, []))
    if not header and problems:
        return Counter()
    columns = _find(file, header, choices.columns)
    for line, row in rows:
        if len(row) != len(header):
            problems.add(file, line, f"expected {len(header)} columns, found {len(row)}: {row[:4]}")
            continue
        ids, labels = ([row[place].strip() for place in places] for places in columns)
        if not all(ids):
            problems.add(file, line, f"the column {header[columns.ids[ids.index('')]]!r} is empty")
            continue
        for place in (0, 2):
            if ids[place] not in writer.entity_rows:
                writer.add_entity(Entity(ids[place], labels[place] or ids[place]))
        if ids[1] not in writer.relation_rows:
            writer.add_relation(Relation(ids[1], labels[1] or ids[1]))
        triples.add(ids[0], ids[1], ids[2])
    triples.store()
    left_out: Counter[str] = Counter()
    if choices.columns is None and (named := header[columns.ids[1]].strip()) in writer.relation_rows:
        left_out[f"the first line, as the header, though {named!r} is a relation below"] += 1
    return left_out


def _rows(file: Path, problems: Problems, tick: Tick) -> Iterator[tuple[int, list[str]]]:
    """Rows, each with the line on which it ends; the delimiter is the header's: a tab, a semicolon or a comma.

    A quotation mark that is never closed costs the line it stands on: the lines after it, which it drew into its row,
    are read again.
    """
    lines = read_lines(file, problems, tick)
    again: deque[tuple[int, bytes]] = deque()
    held: list[tuple[int, bytes]] = []
    """The lines of the row that is being read."""

    def texts() -> Iterator[str]:
        while (line := again.popleft() if again else next(lines, None)) is not None:
            held.append(line)
            # A byte that is no UTF-8 becomes half of a surrogate pair, so that its row alone is lost.
            yield line[1].decode(errors="surrogateescape")

    header = next(lines, (1, b""))
    delimiter = max("\t;,", key=header[1].decode(errors="replace").count)
    if header[1]:
        again.append(header)
    while True:
        reader = csv.reader(texts(), delimiter=delimiter, strict=True)
        try:
            for row in reader:
                number, lines_of_it = held[-1][0], len(held)
                held.clear()
                if _NO_UTF8.search("".join(row)):
                    problems.add(file, number, "not UTF-8")
                elif row:
                    yield number, row if lines_of_it == 1 else [one_line(cell) for cell in row]
            return
        except csv.Error as error:
            problems.add(file, held[0][0], f"not CSV ({error})")
            again.extendleft(reversed(held[1:]))
            held.clear()


def _find(file: Path, header: list[str], wanted: tuple[str, str, str] | None) -> _Columns:
    """Places of the columns. Raises ValueError that lists what the header has."""
    names = [name.strip() for name in header]
    if wanted is None and len(names) < 3:
        raise ValueError(f"{file}:1: expected a header of at least 3 columns, found {names}")
    missing = [name for name in wanted or () if name not in names]
    if missing:
        raise ValueError(f"{file}:1: no column {missing[0]!r}; the header has {', '.join(names)}")

    def label(place: int) -> int:
        beside = (names[place] + ending for ending in ("Label", "_label", " label"))
        return next((names.index(name) for name in beside if name in names), place)

    of_others = {label(place) for place in range(len(names)) if label(place) != place}
    first = [place for place in range(len(names)) if place not in of_others][:3]
    ids = [names.index(name) for name in wanted] if wanted else first if len(first) == 3 else [0, 1, 2]

    return _Columns((ids[0], ids[1], ids[2]), (label(ids[0]), label(ids[1]), label(ids[2])))
