"""Triples in a table with a header: CSV, or any file of delimited columns of which three are named.

The columns are chosen by name (`columns`), or are the first three. Where the file also has `headLabel` or
`head_label` beside a column `head` (as exports of the Wikidata Query Service do), it gives the names.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from kg.problems import Problems
from kg.schema import Entity, Relation
from kg.sources.reading import Choices, Facts, Tick, read_lines
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
    facts = Facts(writer)
    rows = _rows(file, problems, tick)
    _, header = next(rows, (1, []))
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
        facts.add(ids[0], ids[1], ids[2])
    facts.store()
    return Counter()


def _rows(file: Path, problems: Problems, tick: Tick) -> Iterator[tuple[int, list[str]]]:
    """Rows, each with the line on which it ends; the delimiter is the header's: a tab, a semicolon or a comma."""
    line = 0

    def texts() -> Iterator[str]:
        nonlocal line
        for number, data in read_lines(file, problems, tick):
            line = number
            # A byte that is no UTF-8 becomes half of a surrogate pair, so that its row alone is lost.
            yield data.decode(errors="surrogateescape")

    lines = texts()
    header = next(lines, "")
    delimiter = max("\t;,", key=header.count)
    reader = csv.reader(chain([header] if header else [], lines), delimiter=delimiter, strict=True)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            problems.add(file, line, f"not CSV ({error})")
            continue
        if _NO_UTF8.search("".join(row)):
            problems.add(file, line, "not UTF-8")
        elif row:
            yield line, row


def _find(file: Path, header: list[str], wanted: tuple[str, str, str] | None) -> _Columns:
    """Places of the columns. Raises ValueError that lists what the header has."""
    names = [name.strip() for name in header]
    if wanted is None and len(names) < 3:
        raise ValueError(f"{file}:1: expected a header of at least 3 columns, found {names}")
    chosen = wanted or (names[0], names[1], names[2])
    missing = [name for name in chosen if name not in names]
    if missing:
        raise ValueError(f"{file}:1: no column {missing[0]!r}; the header has {', '.join(names)}")

    def places(endings: tuple[str, ...]) -> tuple[int, int, int]:
        found = [
            next(
                (names.index(name + end) for end in endings if name + end in names),
                names.index(name),
            )
            for name in chosen
        ]
        return found[0], found[1], found[2]

    return _Columns(places(("",)), places(("Label", "_label", " label")))
