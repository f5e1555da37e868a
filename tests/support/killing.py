"""Kills a process in the middle of its work, at a point that does not depend on the machine's speed or load."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path


def kill_when(condition: Callable[[], object], later: float = 0.0) -> None:
    """Kill this process with SIGKILL, `later` seconds after a condition is true. A thread of its own checks it, since
    another process may get no processor time before the work is done."""

    def watch() -> None:
        while not condition():
            time.sleep(0.001)
        time.sleep(later)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def newest_step(checkpoints: Path) -> int:
    """The step of the newest checkpoint in a folder; 0 without one."""
    return max((int(folder.name.removeprefix("step-")) for folder in checkpoints.glob("step-*")), default=0)
