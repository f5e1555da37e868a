"""`python -m kepipe.tracking.server_process PARENT COMMAND …`: run a server that is stopped, with its child processes,
when the process PARENT ends.

The server runs in its own session, which is terminated when PARENT ends or when this process receives SIGTERM.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import Any

POLL_SECONDS = 0.5
"""Seconds between checks of the parent."""
TERMINATE_TIMEOUT = 5.0
"""Seconds between SIGTERM and SIGKILL."""


def launch(command: Sequence[str], **popen_options: Any) -> subprocess.Popen[bytes]:
    """Start a server that ends with this process; `popen_options` as for `Popen`. The watching process has its own
    session, so that it outlives a signal to this process group, including SIGKILL, and can stop the server."""
    watcher = [sys.executable, "-m", "kepipe.tracking.server_process", str(os.getpid())]
    return subprocess.Popen([*watcher, *command], start_new_session=True, **popen_options)


def main(parent: int, command: Sequence[str]) -> int:
    """Run a command until it ends or `parent` does; its exit code."""
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGHUP, _end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C and then terminates this process
    server = subprocess.Popen(command, start_new_session=True)
    try:
        while server.poll() is None and os.getppid() == parent:
            time.sleep(POLL_SECONDS)
    finally:
        end_group(server)
    return server.wait()


def end_group(server: subprocess.Popen[bytes]) -> None:
    """Stop a session leader and all processes of its session."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(server.pid, number)
        end = time.monotonic() + TERMINATE_TIMEOUT
        while number == signal.SIGTERM and server.poll() is None and time.monotonic() < end:
            time.sleep(0.05)


def _end(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
