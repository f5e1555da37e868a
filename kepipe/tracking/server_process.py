"""`python -m kepipe.tracking.server_process PARENT COMMAND …`: a server that ends with the process PARENT, and with it
all that it has started.

The server has a session of its own, which is ended when PARENT is gone, or when this process is asked to end.
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

BEAT = 0.5
"""Seconds between two looks at the parent."""
PATIENCE = 5.0
"""Seconds that a server has to end by itself."""


def launch(command: Sequence[str], **how: Any) -> subprocess.Popen[bytes]:
    """Start a server that ends with this process; `how` as for `Popen`. The process that watches has a session of its
    own: a signal to the group of this one, also a kill -9, leaves it to end the server."""
    watching = [sys.executable, "-m", "kepipe.tracking.server_process", str(os.getpid())]
    return subprocess.Popen([*watching, *command], start_new_session=True, **how)


def main(parent: int, command: Sequence[str]) -> int:
    """Run a command until it ends or `parent` does; its exit code."""
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGHUP, _end)
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # a Ctrl-C is for the parent, which then asks this process to end
    server = subprocess.Popen(command, start_new_session=True)
    try:
        while server.poll() is None and os.getppid() == parent:
            time.sleep(BEAT)
    finally:
        end_group(server)
    return server.wait()


def end_group(server: subprocess.Popen[bytes]) -> None:
    """End a process that leads a session, and all of that session."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(server.pid, number)
        end = time.monotonic() + PATIENCE
        while number == signal.SIGTERM and server.poll() is None and time.monotonic() < end:
            time.sleep(0.05)


def _end(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
