"""Progress of a command: a bar on a terminal, lines or nothing elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kepipe.terminal import console, echo

LINE_INTERVAL = 10.0
"""Seconds between progress lines without a terminal."""


@contextmanager
def progress(what: str, total: int, unit: str | None = None) -> Iterator[Callable[[int], None]]:
    """Yields a function to call with the number of units just done. `unit`: name of the units, for lines without a
    terminal; None: bytes, shown only by a bar."""
    if not sys.stderr.isatty():
        yield _lines(what, total, unit) if unit is not None else lambda _: None
        return
    from rich import progress as parts

    columns = parts.Progress.get_default_columns()
    if unit is None:
        columns = (
            parts.TextColumn("{task.description}"), parts.BarColumn(), parts.DownloadColumn(),
            parts.TransferSpeedColumn(), parts.TimeRemainingColumn(),
        )  # fmt: skip
    with parts.Progress(*columns, console=console(stderr=True), transient=True) as bars:
        task = bars.add_task(what, total=total)
        yield lambda count: bars.advance(task, count)


def _lines(what: str, total: int, unit: str) -> Callable[[int], None]:
    """Print a line every ten seconds and at the end."""
    start = last_line = time.monotonic()
    done = 0

    def tick(count: int) -> None:
        nonlocal last_line, done
        done += count
        now = time.monotonic()
        if now - last_line >= LINE_INTERVAL or done == total:
            last_line = now
            echo(f"{what}: {done:,} of {total:,} {unit}, {now - start:.0f} s", err=True)

    return tick
