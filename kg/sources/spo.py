"""K-BERT's graphs (`.spo`): `subject TAB predicate TAB object`; entities are identified by their strings."""

from __future__ import annotations

from pathlib import Path

from kg.problems import Problems
from kg.sources.account import Account
from kg.sources.reading import Choices, Tick, TriplesById, explain, read_lines
from kg.writer import GraphWriter

_COLUMNS = ("subject", "predicate", "object")


def read_spo(file: Path, writer: GraphWriter, problems: Problems, tick: Tick, _choices: Choices) -> Account:
    """Read `file` into `writer`. The string of an entity is its id and label. Duplicate lines are read once."""
    triples = TriplesById(writer)
    for number, line in read_lines(file, problems, tick):
        try:
            triples.add(*_parse(line.decode()))
        except ValueError as error:
            problems.add(file, number, explain(error))
    triples.store()
    account = Account()
    account.take("facts", ", ".join(_COLUMNS), writer.count("train"))
    return account


def _parse(line: str) -> tuple[str, str, str]:
    """The three strings of a line, stripped. Raises ValueError."""
    fields = [field.strip() for field in line.split("\t")]
    if len(fields) != 3:
        expected = "expected subject, predicate and object separated by tabs"
        raise ValueError(f"{expected}, found {len(fields)} columns: {line.strip()[:60]!r}")
    subject, predicate, object = fields
    if not (subject and predicate and object):
        raise ValueError(f"the {_COLUMNS[fields.index('')]} is empty")
    return subject, predicate, object
