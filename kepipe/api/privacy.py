"""Protection of confidential texts, graphs and models: files are private, and processes import no code from the current
folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

UMASK = "KEPIPE_UMASK"
"""Environment variable with the umask for files in a workspace; default: only the owner may read them."""
SAFE_PATH = "PYTHONSAFEPATH"
"""Environment variable with which started processes import nothing from the current folder."""


def umask() -> int:
    """The umask. Raises ConfigError for an invalid value of the variable."""
    mask = os.environ.get(UMASK) or "077"
    if not re.fullmatch("[0-7]{3,4}", mask):
        from kepipe.config import ConfigError

        raise ConfigError(f"{UMASK}={mask}: expected octal digits as for `umask`, such as 027")
    return int(mask, 8)


@contextmanager
def kept_private() -> Iterator[None]:
    """A context in which files that this process writes are private, and started processes are protected as those of
    the command line; the previous state is restored at the end."""
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
