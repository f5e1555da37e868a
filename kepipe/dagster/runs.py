"""`kepipe run` in a process of its own, and its events as they come.

A run that is stopped from Dagster gets SIGTERM and can be resumed, as after Ctrl-C; its memory, and a crash of a
library, are its own.
"""

from __future__ import annotations

import os
import queue
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from kepipe.api.privacy import SAFE_PATH
from kepipe.flow.events import Event
from kepipe.flow.journal import decode
from kepipe.flow.scheduled_run import COMMAND, stop

TICK = 2.0
"""Seconds after which the caller is woken although nothing has happened."""


class RunFailed(Exception):
    """`kepipe run` ended with an error; the message is what it said last."""


class ProcessRun:
    """A run of some stages of a pipeline.

    `timeout`: seconds after which it is stopped, 0 for no limit.
    """

    def __init__(self, pipeline: Path, workspace: Path, flags: Sequence[str], timeout: float = 0.0) -> None:
        self._command = [*COMMAND, str(pipeline), "--workspace", str(workspace), "--log-json", *flags]
        self._timeout, self.timed_out = timeout, False

    def events(self) -> Iterator[Event | str | None]:
        """Its events; other lines that it prints, as text; None after each `TICK` without either.

        Raises RunFailed at its end unless it has succeeded. Stops it if the iteration is given up.
        """
        last = ""
        with self._process() as process:
            lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
            threading.Thread(target=_read, args=(process, lines), daemon=True).start()
            while True:
                try:
                    line = lines.get(timeout=TICK)
                except queue.Empty:
                    yield None
                    continue
                if line is None:
                    break
                try:
                    event = decode(line) if line.startswith(b"{") else None
                except ValueError:
                    event = None
                text = line.decode(errors="replace").strip()
                last = text if event is None and text else last
                yield event or text
            code = process.wait()
        if code:
            why = f"stopped after {self._timeout:.0f} s" if self.timed_out else last or f"exit code {code}"
            raise RunFailed(why.removeprefix("kepipe: "))

    @contextmanager
    def _process(self) -> Iterator[subprocess.Popen[bytes]]:
        process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, SAFE_PATH: "1"},
            start_new_session=True,
        )
        timer = threading.Timer(self._timeout or threading.TIMEOUT_MAX, self._expire, (process,))
        timer.daemon = True
        timer.start()
        try:
            yield process
        finally:
            timer.cancel()
            if process.poll() is None:
                stop(process)

    def _expire(self, process: subprocess.Popen[bytes]) -> None:
        self.timed_out = True
        with suppress(ProcessLookupError):
            stop(process)


def _read(process: subprocess.Popen[bytes], lines: queue.SimpleQueue[bytes | None]) -> None:
    """Pass on the lines of a process; None at the end."""
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    lines.put(None)
