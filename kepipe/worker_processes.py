"""Processes that work for another end with it, however it ends."""

from __future__ import annotations

import os
import threading
import time

BEAT = 0.5
"""Seconds between two looks at the parent."""


def end_with_parent() -> None:
    """Have this process end soon after the one that started it has: also after a kill -9, which tells nobody."""
    threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(BEAT)
    os._exit(1)
