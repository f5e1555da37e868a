"""Triples in a table with a header: CSV, or any file of delimited columns, three of which are used.

The columns are given by name (`columns`), or recognised by common names in any order (`kg.sources.header_names`).
Otherwise the first three are used, if their values are plausible. If the file has `headLabel` or `head_label` beside a
column `head` (as in exports of the Wikidata Query Service), labels are read from it. A line break in a cell is replaced
by a space, since ids are stored one per line elsewhere.
"""

from __future__ import annotations

from pathlib import Path

from kg.problems import Problems
from kg.schema import Entity, Relation
from kg.sources.account import Account
from kg.sources.delimited_rows import read_rows
from kg.sources.header_names import Columns, find_columns, is_direction
from kg.sources.reading import Choices, Tick, TriplesById
from kg.writer import GraphWriter

_FEW = 30
"""Minimum number of rows for judging by its values whether a column may hold relations."""


def read_delimited(
    file: Path, writer: GraphWriter, problems: Problems, tick: Tick, choices: Choices
) -> Account:
    """Read `file` into `writer`. Uses the option `columns`. Raises ValueError if the header lacks one of them, or if
    the first three columns are unlikely to be head, relation and tail."""
    triples, account = TriplesById(writer), Account()
    rows = read_rows(file, problems, tick)
    _, header = next(rows, (1, []))
    if not header and problems:
        return account
    try:
        columns = find_columns(header, choices.columns)
    except ValueError as error:
        raise ValueError(f"{file}:1: {error}") from None
    count = 0
    for line, row in rows:
        if len(row) != len(header):
            problems.add(file, line, f"expected {len(header)} columns, found {len(row)}: {row[:4]}")
            continue
        ids, labels = ([row[place].strip() for place in places] for places in columns[:2])
        if not all(ids):
            problems.add(file, line, f"the column {header[columns.ids[ids.index('')]]!r} is empty")
            continue
        for place in (0, 2):
            if ids[place] not in writer.entity_rows:
                writer.add_entity(Entity(ids[place], labels[place] or ids[place]))
        if ids[1] not in writer.relation_rows:
            writer.add_relation(Relation(ids[1], labels[1] or ids[1]))
        triples.add(ids[0], ids[1], ids[2])
        count += 1
    triples.store()
    _require_likely(file, header, columns, writer, count)
    named = [header[place].strip() for place in columns.ids]
    if choices.columns is None and not columns.known and named[1] in writer.relation_rows:
        account.leave(f"the first line, used as the header although {named[1]!r} is a relation below")
    account.take("facts", f"head {named[0]}, relation {named[1]}, tail {named[2]}", count)
    for place, label in zip(columns.ids, columns.labels, strict=True):
        if label != place:
            account.take(f"names of the column {header[place].strip()}", header[label].strip(), count)
    for place, name in enumerate(header):
        if place not in {*columns.ids, *columns.labels}:
            account.leave("columns", name.strip() or "(no name)")
    return account


def _require_likely(file: Path, header: list[str], columns: Columns, writer: GraphWriter, count: int) -> None:
    """Raise ValueError if the values of the relation column are implausible: as many distinct values as rows, numbers,
    or directions."""
    relations = list(writer.relation_rows)
    unlikely = ""
    if relations and all(map(is_direction, relations)):
        unlikely = "says directions"
    elif not columns.known and len(relations) > max(_FEW, count // 2):
        unlikely = f"has {len(relations):,} values in {count:,} rows"
    elif not columns.known and count >= 2 and relations and all(map(_is_number, relations)):
        unlikely = "holds numbers"
    if unlikely:
        taken = ", ".join(f"{header[place].strip()!r}" for place in columns.ids)
        raise ValueError(
            f"{file}:1: the columns taken as head, relation and tail are {taken}, but "
            f"{header[columns.ids[1]].strip()!r} {unlikely}; name "
            f"three of {', '.join(name.strip() for name in header)} as `columns` (head, relation, tail)"
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
