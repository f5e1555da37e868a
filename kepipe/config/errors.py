"""What is raised where the user's settings cannot be used, and hints that go with it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence


class ConfigError(ValueError):
    """The user's settings cannot be used; the message says where and what to do."""


class ConfigConflict(ValueError):
    """Settings that are right by themselves and do not go together. `key`: where to look, with dots, from the stage's
    own settings on; the message says what to set."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(key, message)  # both, so that it can be sent to another process
        self.key, self.message = key, message

    def __str__(self) -> str:
        return self.message


def suggest(word: str, known: Sequence[str]) -> str:
    """A hint to append to an error: the closest known word, or the list of them."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f"; did you mean `{close[0]}`?"
    return f"; known: {', '.join(sorted(known))}" if known else ""
