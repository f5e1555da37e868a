"""Read graphs in any format."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kepipe.console.progress import progress
from kepipe.terminal import echo

if TYPE_CHECKING:
    from kg.problems import Problems
    from kg.sources.account import Account
    from kg.sources.reading import Choices
    from kg.sources.table import Format
    from kg.store import Graph
    from kg.writer import GraphWriter


def read_into(
    source: Path, format: Format, writer: GraphWriter, problems: Problems, choices: Choices
) -> Account:
    """Fill the writer from a source, showing progress. Raises ValueError if it has no triples."""
    from kg.sources.table import read_source, size

    with progress(f"reading {format.name}", size(format, source)) as tick:
        return read_source(format, source, writer, problems, tick, choices)


@contextmanager
def opened_graph(path: Path) -> Iterator[Graph]:
    """Open a stored graph; one in another format is read into a temporary folder, and a report is printed."""
    from kg.store import open_graph

    if (path / "graph.json").is_file():
        yield open_graph(path)
        return
    from kg.problems import Problems
    from kg.sources.reading import Choices
    from kg.sources.table import guess
    from kg.writer import GraphWriter

    if not path.exists():
        raise ValueError(f"{path}: no such graph")
    with tempfile.TemporaryDirectory() as folder:
        writer, problems = GraphWriter(Path(folder)), Problems()
        report_problems(problems, read_into(path, guess(path), writer, problems, Choices()))
        yield writer.finish()


def report_problems(
    problems: Problems, account: Account | None, repeated: Counter[str] | None = None
) -> None:
    """Print to standard error the problems, and what was imported and skipped."""
    if problems:
        echo(problems.summary(), err=True)
    for line in account.lines() if account else ():
        echo(line, err=True)
    for reason, count in sorted((repeated or {}).items()):
        if count:
            echo(f"left out: {reason}: {count:,}", err=True)
