"""Texts, graphs and models may be confidential: what is written is its user's alone, and what is started is ours."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

UMASK = "KEPIPE_UMASK"
"""Environment variable: who may not read what is written to a workspace, as `umask` has it; else all but its owner."""
SAFE_PATH = "PYTHONSAFEPATH"
"""Environment variable by which processes that we start import nothing from the folder we are called in."""


def umask() -> int:
    """The mask for what is written. Raises ConfigError for a variable that is none."""
    mask = os.environ.get(UMASK) or "077"
    if not re.fullmatch("[0-7]{3,4}", mask):
        from kepipe.config import ConfigError

        raise ConfigError(f"{UMASK}={mask}: expected octal digits as `umask` takes them, such as 027")
    return int(mask, 8)


@contextmanager
def kept_private() -> Iterator[None]:
    """For the block, what this process writes is its user's alone, and those that it starts are as the command line
    starts them; after it, this process is as it was."""
    mask, before = os.umask(umask()), os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    try:
        yield
    finally:
        os.umask(mask)
        if before is None:
            del os.environ[SAFE_PATH]
        else:
            os.environ[SAFE_PATH] = before
