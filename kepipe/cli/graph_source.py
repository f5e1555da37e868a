"""Where an import reads: the format of a source, what can be chosen of it, progress, and what was bad in it."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kepipe.terminal import console, echo

if TYPE_CHECKING:
    from kg.problems import Problems
    from kg.sources.reading import Choices
    from kg.sources.table import Format
    from kg.store import Graph
    from kg.writer import GraphWriter


def format_of(source: str, name: str | None) -> Format:
    """The format of a source, by the name given or else by the source's. Raises ValueError, FileNotFoundError."""
    from kg.sources.table import FORMATS, guess

    if name is not None and name not in FORMATS:
        raise ValueError(f"--format {name}: expected one of {', '.join(FORMATS)}")
    if name is None and source in FORMATS and FORMATS[source].package:
        name = source
    if not (name and FORMATS[name].package) and not Path(source).exists():
        raise FileNotFoundError(f"{source}: no such file or folder (and not `geonames`)")
    return FORMATS[name] if name else guess(Path(source))


def choices_of(
    format: Format,
    language: list[str] | None,
    columns: str | None,
    min_sitelinks: int = 0,
    min_population: int = 15000,
) -> Choices:
    """What was chosen; a choice that the format does not heed is said."""
    from kg.sources.reading import Choices

    names = tuple(name.strip() for name in columns.split(",")) if columns else None
    if names is not None and len(names) != 3:
        raise ValueError(f"--columns {columns}: expected three names, head,relation,tail")
    choices = Choices(tuple(language or ("en",)), names, min_sitelinks, min_population)
    for option, field in (
        ("--language", "languages"), ("--columns", "columns"), ("--min-sitelinks", "min_sitelinks"),
        ("--min-population", "min_population"),
    ):  # fmt: skip
        if getattr(choices, field) != getattr(Choices(), field) and field not in format.options:
            echo(f"{option} means nothing to the format {format.name}", err=True)
    return choices


def read_into(
    source: Path, format: Format, writer: GraphWriter, problems: Problems, choices: Choices
) -> Counter[str]:
    """Fill the writer from a source, showing progress. Raises ValueError where it has no triples."""
    from kg.sources.table import read_source, size

    with _progress(f"reading {format.name}", size(format, source)) as tick:
        return read_source(format, source, writer, problems, tick, choices)


@contextmanager
def opened_graph(path: Path) -> Iterator[Graph]:
    """A stored graph as it is; one in another format is read into a folder that goes again."""
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
        read_into(path, guess(path), writer, problems, Choices())
        if problems:
            echo(problems.summary(), err=True)
        yield writer.finish()


@contextmanager
def _progress(what: str, size: int) -> Iterator[Callable[[int], None]]:
    """A bar in bytes on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    bars = Progress(
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(),
        console=console(stderr=True), transient=True,
    )  # fmt: skip
    with bars:
        task = bars.add_task(what, total=size)
        yield lambda count: bars.advance(task, count)


def report_problems(problems: Problems, left_out: Counter[str]) -> None:
    """Say on standard error what was bad and what was left out."""
    if problems:
        echo(problems.summary(), err=True)
    for reason, count in sorted(left_out.items()):
        if count:
            echo(f"left out: {reason}: {count:,}", err=True)
