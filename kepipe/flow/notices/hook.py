"""`command=WORDS`: a program is started with the notice as JSON on its standard input."""

from __future__ import annotations

import shlex
import subprocess

from kepipe.config import ConfigError
from kepipe.flow.notices.base import Notice, NotToldError, Way, encode

PATIENCE = 60.0
"""Seconds after which the program is ended."""


def hook(command: str) -> Way:
    """Tell a program. Its words are split as a shell does, without that a shell runs them. Raises ConfigError for
    words that cannot be split."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ConfigError(f"command {command!r}: {error}") from None
    if not words:
        raise ConfigError("command: expected a program and its arguments")

    def tell(notice: Notice) -> None:
        try:
            ended = subprocess.run(
                words, input=encode(notice), capture_output=True, timeout=PATIENCE, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NotToldError(f"{words[0]}: {error}") from None
        if ended.returncode:
            last = ended.stderr.decode(errors="replace").strip().splitlines()[-1:]
            raise NotToldError(
                f"{words[0]} ended with {ended.returncode}{': ' if last else ''}{''.join(last)}"
            )

    return tell
