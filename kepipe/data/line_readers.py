"""Streaming readers for UTF-8 lines, JSON lines, and tables with a header; errors are reported with their line."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from io import BufferedIOBase
from pathlib import Path
from typing import Any

from kepipe.data.user_json import parse_record
from kepipe.data.watched_records import watched
from kg.problems import Problems
from kg.regular_files import LONGEST_LINE, JsonError, open_regular

_MOST_LINES = 500
"""Maximum lines of a quoted cell; a quotation mark that is not closed within these is literal."""
_DELIMITERS = {"\t": "tabs", ",": "commas", ";": "semicolons"}


def text_lines(file: Path, problems: Problems) -> Iterator[tuple[int, str]]:
    """The lines of a UTF-8 file without their ends, numbered from 1."""
    with open_regular(file) as stream:
        yield from stream_lines(stream, file, problems)


def stream_lines(stream: BufferedIOBase, file: Path, problems: Problems) -> Iterator[tuple[int, str]]:
    """As `text_lines`, for an open file."""
    for number, line in enumerate(iter(lambda: stream.readline(LONGEST_LINE + 1), b""), start=1):
        if len(line) > LONGEST_LINE:
            raise ValueError(f"{file}:{number}: a line of more than {LONGEST_LINE >> 20} MB: refused")
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            problems.add(file, number, f"invalid UTF-8 at byte {error.start} of the line")
        else:
            yield number, text.rstrip("\r\n")


def json_lines(file: Path, problems: Problems) -> Iterator[tuple[int, Any]]:
    """The values of the non-blank lines of a JSON-lines file, with line numbers from 1."""
    for number, line in text_lines(file, problems):
        if line.strip(" \t"):
            try:
                yield number, parse_record(line)
            except JsonError as error:
                problems.add(file, number, str(error))


def columns(file: Path, problems: Problems, required: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """The lines of a TSV with a header, as column → cell; `problems.account` records which columns are read.
    Raises ValueError if the header lacks a column."""
    yield from watched(
        table_rows(text_lines(file, problems), file, problems, "\t", required), problems.account
    )


def table_rows(
    lines: Iterable[tuple[int, str]],
    file: Path,
    problems: Problems,
    delimiter: str = "",
    required: Sequence[str] = (),
) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a table with a header, as column → cell, each with the number of its first line. Cells may be quoted
    as by spreadsheets and pandas, and then contain delimiters, line breaks and doubled quotation marks. A quotation
    mark that is not closed is literal.

    `delimiter`: "" means the most frequent one of the header. Raises ValueError if the header lacks a column.
    """
    rest = deque[tuple[int, str]]()
    source = iter(lines)

    def following() -> tuple[int, str] | None:
        return rest.popleft() if rest else next(source, None)

    first = following() or (1, "")
    delimiter = delimiter or max(_DELIMITERS, key=first[1].count)
    header = _split(first[1], delimiter) or [""]
    missing = [name for name in required if name not in header]
    if missing:
        names = _DELIMITERS[delimiter]
        raise ValueError(
            f"{file}:1: the header lacks {' and '.join(f'`{name}`' for name in missing)}; expected a first line with "
            f"the columns {', '.join(required)}, separated by {names}; found {header}"
        )
    while (line := following()) is not None:
        number, text = line
        held: list[tuple[int, str]] = []
        cells = _split(text, delimiter) if len(header) > 1 or '"' in text else [text]
        while cells is None and len(held) < _MOST_LINES and (more := following()) is not None:
            held.append(more)
            text += "\n" + more[1]
            cells = _split(text, delimiter) if '"' in more[1] else None
        if cells is None:
            rest.extendleft(reversed(held))
            text = line[1]
        if cells is None or len(cells) != len(header):
            raw = line[1].split(delimiter)
            if cells is None or len(raw) == len(header):
                cells = raw
        if len(cells) == len(header):
            yield number, dict(zip(header, cells, strict=True))
        elif text:
            expected = (
                f"expected {len(header)} cells separated by {_DELIMITERS[delimiter]}, found {len(cells)}"
            )
            problems.add(file, number, expected)


def _split(text: str, delimiter: str) -> list[str] | None:
    """The cells of a row; None if a quotation mark is still open at its end."""
    if '"' not in text:
        return text.split(delimiter)
    try:
        (row,) = csv.reader(
            [text.replace("\r", "")] if "\n" not in text else text.splitlines(True),
            delimiter=delimiter,
            strict=True,
        )
    except csv.Error as error:
        return None if "unexpected end of data" in str(error) else text.split(delimiter)
    except ValueError:
        return text.split(delimiter)
    return row
