"""Processes that work for another end with it, however it ends."""

from __future__ import annotations

import os
import threading
import time

BEAT = 0.5
"""Seconds between two checks of the parent."""


def end_with_parent() -> None:
    """End this process soon after its parent process has ended, even by `kill -9`."""
    threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(BEAT)
    os._exit(1)
