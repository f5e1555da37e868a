"""Lines of UTF-8 text, of JSON, and of tables with a header, read one by one; what is wrong is told with its line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kg.problems import Problems
from kg.regular_files import LONGEST_LINE, JsonError, open_regular, parse_json


def text_lines(file: Path, problems: Problems) -> Iterator[tuple[int, str]]:
    """The lines of a UTF-8 file without their ends, numbered from 1."""
    with open_regular(file) as stream:
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
    """What stands on each line of a JSON-lines file that is not blank, numbered from 1."""
    for number, line in text_lines(file, problems):
        if line.strip(" \t"):
            try:
                yield number, parse_json(line)
            except JsonError as error:
                problems.add(file, number, str(error))


def columns(file: Path, problems: Problems, required: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """The lines of a TSV with a header, as column → cell. Raises ValueError where the header lacks a column."""
    lines = text_lines(file, problems)
    header = next(lines, (1, ""))[1].split("\t")
    missing = [name for name in required if name not in header]
    if missing:
        raise ValueError(
            f"{file}:1: the header lacks {' and '.join(f'`{name}`' for name in missing)}; expected a first line with "
            f"the columns {', '.join(required)}, tabs between them; found {header}"
        )
    for number, line in lines:
        cells = line.split("\t")
        if len(cells) == len(header):
            yield number, dict(zip(header, cells, strict=True))
        elif line:
            problems.add(file, number, f"expected {len(header)} cells with tabs between, found {len(cells)}")
