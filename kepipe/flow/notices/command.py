"""`command=WORDS`: starts a program with the notice as JSON on its standard input."""

from __future__ import annotations

import shlex
import subprocess

from kepipe.config import ConfigError
from kepipe.flow.notices.base import Channel, DeliveryError, Notice, encode

TIMEOUT = 60.0
"""Seconds after which the program is killed."""


def command_channel(command: str) -> Channel:
    """Runs a program for each notice. The words are split as in a shell, but no shell runs them. Raises ConfigError
    for words that cannot be split."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ConfigError(f"command {command!r}: {error}") from None
    if not words:
        raise ConfigError("command: expected a program and its arguments")

    def send(notice: Notice) -> None:
        try:
            ended = subprocess.run(
                words, input=encode(notice), capture_output=True, timeout=TIMEOUT, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise DeliveryError(f"{words[0]}: {error}") from None
        if ended.returncode:
            last = ended.stderr.decode(errors="replace").strip().splitlines()[-1:]
            raise DeliveryError(
                f"{words[0]} exited with {ended.returncode}{': ' if last else ''}{''.join(last)}"
            )

    return send
