"""Documents as records: JSON lines, JSON, and columns of Parquet and Arrow files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain, islice
from typing import Any

from kepipe.data import document_files
from kepipe.data.document import Document
from kepipe.data.document_files import KEYS, from_record
from kepipe.data.text_formats.text_file import TextFile
from kepipe.data.user_json import parse_record, valid_records
from kg.problems import Problems
from kg.regular_files import JsonError, parse_json

_LISTS = ("data", "documents", "docs", "examples", "records", "items", "articles")
"""Keys of a JSON object that may hold a list of records."""


def read_json_lines(file: TextFile, problems: Problems) -> Iterator[Document]:
    """One document per line (`.jsonl`, `.ndjson`, WikiExtractor's `--json`)."""
    yield from json_documents(file, file.lines(problems), problems)


def json_documents(
    file: TextFile, lines: Iterable[tuple[int, str]], problems: Problems, empty_is_bad: bool = True
) -> Iterator[Document]:
    """One document per line of JSON; a document with an empty text is an invalid line, or is skipped."""
    records = _records(file, lines, problems)
    if not empty_is_bad:
        records = ((n, one) for n, one in records if not (isinstance(one, dict) and one.get("text") == ""))
    yield from _documents(file, records, problems)


def read_json(file: TextFile, problems: Problems) -> Iterator[Document]:
    """A list of records, an object with such a list, a single record, or JSON lines despite the extension (`.json`)."""
    lines = file.lines(problems)
    first = list(islice(((n, line) for n, line in lines if line.strip()), 2))
    if len(first) == 2 and all(line.strip().startswith("{") and _is_json(line) for _, line in first):
        yield from json_documents(file, chain(first, lines), problems)
        return
    text = file.read_all(problems)
    if text is None:
        return
    try:
        parsed = parse_json(text)
    except JsonError as error:
        file.problem(problems, error.line, str(error))
        return
    if isinstance(parsed, dict):
        found = next((parsed[key] for key in _LISTS if isinstance(parsed.get(key), list)), None)
        parsed = [parsed] if found is None else found
    if not isinstance(parsed, list):
        file.problem(problems, 0, f"expected a list of records with a `text`, found {type(parsed).__name__}")
        return
    valid = valid_records(parsed, partial(file.problem, problems), text)
    yield from _documents(file, valid, problems)


def read_parquet(file: TextFile, problems: Problems) -> Iterator[Document]:
    """One document per row of a Parquet file."""
    from pyarrow import parquet

    yield from document_files.read_parquet(file.path, problems)
    described = parquet.read_metadata(file.path)
    file.count_values(dict.fromkeys(described.schema.to_arrow_schema().names, described.num_rows), KEYS)


def read_arrow(file: TextFile, problems: Problems) -> Iterator[Document]:
    """One document per row of an Arrow file, as written by Hugging Face's `save_to_disk`, or of a Feather file."""
    import pyarrow
    from pyarrow import ipc

    def batches() -> Iterator[Any]:
        with file.open() as stream:
            try:
                yield from ipc.open_stream(stream)
                return
            except pyarrow.ArrowInvalid:
                pass
        with pyarrow.memory_map(str(file.path)) as mapped:
            table = ipc.open_file(mapped)
            yield from (table.get_batch(number) for number in range(table.num_record_batches))

    try:
        rows = (row for batch in batches() for row in batch.to_pylist())
        yield from _documents(file, enumerate(rows, start=1), problems)
    except pyarrow.ArrowInvalid as error:
        file.problem(problems, 0, f"not an Arrow file ({error})")


def _is_json(line: str) -> bool:
    try:
        parse_json(line)
    except JsonError:
        return False
    return True


def _records(
    file: TextFile, lines: Iterable[tuple[int, str]], problems: Problems
) -> Iterator[tuple[int, Any]]:
    for number, line in lines:
        if line.strip():
            try:
                yield number, parse_record(line)
            except JsonError as error:
                file.problem(problems, number, str(error))


def _documents(file: TextFile, records: Iterable[tuple[int, Any]], problems: Problems) -> Iterator[Document]:
    key_counts: Counter[str] = Counter()
    for number, record in records:
        try:
            document = from_record(record, default_id=f"{file.stem}:{number}")
        except ValueError as error:
            file.problem(problems, number, str(error))
        else:
            key_counts.update(map(str, record))
            yield document
    file.count_values(key_counts, KEYS)
