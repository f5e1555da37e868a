"""Normalisations of a choice's log-likelihood by its length, which make choices of different length comparable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

LENGTHS: Mapping[str, Callable[[int, str], int]] = {
    "tokens": lambda tokens, _: tokens,
    "bytes": lambda _, choice: len(choice.encode()),
    "none": lambda *_: 1,
}
"""Name → function from the number of tokens and the text of a choice to its length."""

if TYPE_CHECKING:
    Normalise = str
else:
    Normalise = Literal[tuple(LENGTHS)]
    """The name of a length, as the type of an option."""
