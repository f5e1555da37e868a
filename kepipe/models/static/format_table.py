"""The table of formats of word vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal


@dataclass(frozen=True)
class Format:
    """A file format. `has_header`: whether the first line is the number of words and the dimension; `binary`: whether
    vectors are binary."""

    has_header: bool
    binary: bool = False

    @property
    def forbidden(self) -> str:
        """Characters that a word must not contain."""
        return " \n" if self.binary else "\n"


FORMATS: Mapping[str, Format] = {
    "word2vec": Format(has_header=True),
    "word2vec-binary": Format(has_header=True, binary=True),
    "glove": Format(has_header=False),
}
"""The table of formats."""

if TYPE_CHECKING:
    FormatName = str
else:
    FormatName = Literal[tuple(FORMATS)]
    """The name of a format, as the type of a command's option."""
