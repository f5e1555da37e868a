"""The table of what a choice's log-likelihood is divided by, so that long choices compare with short ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

LENGTHS: Mapping[str, Callable[[int, str], int]] = {
    "tokens": lambda tokens, _: tokens,
    "bytes": lambda _, choice: len(choice.encode()),
    "none": lambda *_: 1,
}
"""Name → the length of a choice, from the number of its tokens and its text."""

if TYPE_CHECKING:
    Normalise = str
else:
    Normalise = Literal[tuple(LENGTHS)]
    """The name of a length, as the type of an option."""
