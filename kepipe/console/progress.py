"""How far a command has come: a bar on a terminal, lines or nothing elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kepipe.terminal import console, echo

TELL_EVERY = 10.0
"""Seconds between lines where there is no terminal."""


@contextmanager
def progress(what: str, total: int, unit: str | None = None) -> Iterator[Callable[[int], None]]:
    """Call what is yielded with the number of steps just done. `unit`: what is counted, told in lines where there is no
    terminal; None: bytes, which only a bar shows."""
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
    """A line every ten seconds, and at the end."""
    start = told = time.monotonic()
    done = 0

    def tick(count: int) -> None:
        nonlocal told, done
        done += count
        now = time.monotonic()
        if now - told >= TELL_EVERY or done == total:
            told = now
            echo(f"{what}: {done:,} of {total:,} {unit}, {now - start:.0f} s", err=True)

    return tick
