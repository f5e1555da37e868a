"""A data set of the Hugging Face hub, read with the package `datasets`, which is not a dependency of kepipe.

A data set on disk (`save_to_disk`) does not need it: it is a folder of `.arrow` files. No code of a data set is run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kepipe.data.document import Document
from kepipe.data.document_files import from_record
from kepipe.data.user_json import require_whole_characters
from kepipe.data.watched_records import KEYS
from kg.sources.account import Account

if TYPE_CHECKING:
    from kepipe.data.sources.table import Dataset, Reading

_OTHERS = ("id", "title")
"""Columns that are read in addition to the text."""


def read(reading: Reading) -> Iterator[Document]:
    """The rows of the data set as documents. Raises ValueError if the package or the data set is missing."""
    asked = reading.dataset
    if asked is None:
        raise ValueError("`source: hugging-face` needs `dataset: {name: owner/name}`")
    yield from documents(_rows(asked), asked, reading)


def documents(rows: Iterable[Mapping[str, Any]], asked: Dataset, reading: Reading) -> Iterator[Document]:
    """At most `reading.limit` rows of a data set as documents; a final note counts imported and skipped values."""
    columns: Counter[str] = Counter()
    account = Account()
    with reading.progress("reading", None, "documents") as tick:
        for number, row in enumerate(islice(rows, reading.limit), start=1):
            tick(1)
            try:
                record = _record(row, asked)
                require_whole_characters(record)
                document = from_record(record, default_id=f"{asked.name}:{asked.split}:{number}")
            except ValueError as error:
                reading.problems.add(Path(asked.name), number, str(error))
            else:
                account.take("documents", asked.split)
                columns.update(row.keys())
                yield document
    for name, count in columns.items():
        (account.take if name in (*_OTHERS, asked.column) else account.leave)(KEYS, name, count)
    for line in account.lines():
        reading.note(line)


def _rows(asked: Dataset) -> Iterator[Mapping[str, Any]]:
    try:
        import datasets  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        raise ValueError(
            "`source: hugging-face` needs the package `datasets`: pip install datasets"
        ) from None
    try:
        found = datasets.load_dataset(
            asked.name, asked.config, split=asked.split, revision=asked.revision, streaming=True
        )
        yield from found
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(f"the data set {asked.name}, split {asked.split}, cannot be read: {error}") from None


def _record(row: Mapping[str, Any], asked: Dataset) -> dict[str, Any]:
    """A row with its text column renamed to `text`. Raises ValueError that lists the columns."""
    if asked.column not in row:
        raise ValueError(f"no column {asked.column!r}; the data set has {', '.join(row)}")
    named = {key: row[key] for key in _OTHERS if row.get(key) is not None}
    return {**named, "text": row[asked.column]}
