"""What Ctrl-C and SIGTERM (`docker stop`, a batch system) do to a command.

While it works they are raised as KeyboardInterrupt, so that it ends what it is at. Before that, while modules are
imported, and afterwards, while the interpreter takes itself down, nothing is left to be ended: then the process goes
at once, by the same exit code and without a traceback.
"""

from __future__ import annotations

import os
import signal
from typing import Any

INTERRUPTED = 130
"""The exit code of what was stopped by a signal, as a shell has it for Ctrl-C."""


def end_at_once() -> None:
    """From now on a signal ends the process. A Ctrl-C that is to be ignored, as in a shell's background, stays so."""
    _handle(_end)


def raise_interrupts() -> None:
    """From now on a signal is raised as KeyboardInterrupt."""
    _handle(signal.default_int_handler)


def _handle(handler: Any) -> None:
    signal.signal(signal.SIGTERM, handler)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, handler)


def _end(*_: Any) -> None:
    os._exit(INTERRUPTED)
