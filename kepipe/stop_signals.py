"""What Ctrl-C and SIGTERM (`docker stop`, a batch system) do to a command.

While it works they are raised as KeyboardInterrupt, so that it ends what it is at. Before that, while modules are
imported, and afterwards, while the interpreter takes itself down, nothing is left to be ended: then the process goes
at once, by the same exit code and without a traceback.

What is raised in the middle of an import breaks libraries in C++ (they abort the process) and leaves modules half
there: a signal waits until the import is over.
"""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Any

INTERRUPTED = 130
"""The exit code of what was stopped by a signal, as a shell has it for Ctrl-C."""
LOOK_AGAIN = 0.02
"""Seconds after which it is asked again whether an import is over."""


def end_at_once() -> None:
    """From now on a signal ends the process. A Ctrl-C that is to be ignored, as in a shell's background, stays so."""
    _handle(_end)


def raise_interrupts() -> None:
    """From now on a signal is raised as KeyboardInterrupt, after an import that it meets."""
    signal.signal(signal.SIGALRM, _interrupt)
    _handle(_interrupt)


def _handle(handler: Any) -> None:
    signal.signal(signal.SIGTERM, handler)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    if _is_importing(frame):
        signal.setitimer(signal.ITIMER_REAL, LOOK_AGAIN)  # which sends SIGALRM
    else:
        signal.default_int_handler(number, frame)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _end(*_: Any) -> None:
    os._exit(INTERRUPTED)
