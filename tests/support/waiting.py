"""Waiting for events in other processes, with a timeout long enough for a machine ten times slower."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
TIMEOUT = 1800.0
"""Timeout in seconds; less than that of a test (`pyproject.toml`)."""


def until(
    condition: Callable[[], T],
    pause: float = 0.05,
    describe: Callable[[], str] = "it did not happen in time".format,
) -> T:
    """The value of a condition as soon as it is true. Fails after `TIMEOUT`, with what `describe` returns then."""
    end = time.monotonic() + TIMEOUT
    while not (value := condition()):
        assert time.monotonic() < end, describe()
        time.sleep(pause)
    return value


def is_running(process: int) -> bool:
    """Whether a process with this id exists."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
