"""A question's options as statements, in a model's tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kepipe.tokenization.tokenizer import Tokenizer
from kg.templates import Statement


class TokenStatement(NamedTuple):
    """A statement as tokens without special tokens; `subject` and `option`: the tokens first … stop − 1 of each.

    `words`: for each token of the option, the position after the end of its word; the last word ends with the option.
    """

    tokens: tuple[int, ...]
    subject: tuple[int, int]
    option: tuple[int, int]
    words: tuple[int, ...]

    @property
    def sayable(self) -> bool:
        """Whether the option has any tokens."""
        return self.option[0] < self.option[1]


def encode(statements: Sequence[Statement], tokenizer: Tokenizer) -> list[TokenStatement]:
    """Tokenise each statement as a whole, so that its tokens are those of running text.

    A token belongs to a name if it covers one of its characters. A word is a unit of pre-tokenisation. An option with
    an unknown token is treated as having no tokens: the model cannot produce it.
    """
    encoded = tokenizer.encode([statement.text for statement in statements])
    unknown = tokenizer.id(tokenizer.named["unk"]) if "unk" in tokenizer.named else None
    stops = np.cumsum(encoded.lengths)
    rows = []
    for statement, start, stop in zip(statements, stops - encoded.lengths, stops, strict=True):
        tokens = tuple(encoded.tokens[start:stop].tolist())
        starts, ends = encoded.starts[start:stop].tolist(), encoded.ends[start:stop].tolist()
        subject, option = (
            _covering(starts, ends, *statement.subject),
            _covering(starts, ends, *statement.object),
        )
        if unknown in tokens[slice(*option)]:
            option = (option[0], option[0])
        begins = [place for place in range(*option) if encoded.words[start + place]]
        words = tuple(min((b for b in begins if b > place), default=option[1]) for place in range(*option))
        rows.append(TokenStatement(tokens, subject, option, words))
    return rows


def _covering(starts: list[int], ends: list[int], first: int, stop: int) -> tuple[int, int]:
    """The tokens that cover a character of first … stop − 1."""
    places = [
        place
        for place, (start, end) in enumerate(zip(starts, ends, strict=True))
        if start < stop and end > first
    ]
    return (places[0], places[-1] + 1) if places else (0, 0)
