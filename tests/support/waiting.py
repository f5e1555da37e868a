"""Waiting for what another process does: on a machine ten times slower it comes as well, only later."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE = 1800.0
"""Seconds after which what is waited for is taken to have failed; less than a test may take (`pyproject.toml`)."""


def until(condition: Callable[[], T], pause: float = 0.05) -> T:
    """What a condition gives as soon as it is true. Fails where it is not within `PATIENCE`."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(pause)
    return found


def lives(process: int) -> bool:
    """Whether there is a process of this number."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
