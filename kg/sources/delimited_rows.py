"""Rows of a table separated by commas, semicolons or tabs, with quoting as in spreadsheets."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from kg.problems import Problems
from kg.sources.reading import Tick, one_line, read_lines

_NO_UTF8 = re.compile("[\udc80-\udcff]")
"""Surrogates, by which bytes that are invalid UTF-8 are decoded."""


def read_rows(file: Path, problems: Problems, tick: Tick) -> Iterator[tuple[int, list[str]]]:
    """Yield rows, each with the number of its last line. The delimiter is that of the header: a tab, a semicolon or a
    comma.

    An unclosed quotation mark invalidates only the line that contains it: the following lines, which were parsed as
    part of the same row, are parsed again.
    """
    lines = read_lines(file, problems, tick)
    again: deque[tuple[int, bytes]] = deque()
    held: list[tuple[int, bytes]] = []
    """The lines of the current row."""

    def texts() -> Iterator[str]:
        while (line := again.popleft() if again else next(lines, None)) is not None:
            held.append(line)
            # Invalid UTF-8 is decoded to surrogates, so that only its row is rejected.
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
