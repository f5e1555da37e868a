"""`mlm`: BERT's and RoBERTa's objective (Devlin et al. 2019, Liu et al. 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from kepipe.arrays import Bools
from kepipe.config import Section

Schedule = Literal["static", "duplicated", "dynamic"]

if TYPE_CHECKING:
    from kepipe.data.batch import TokenRows
    from kepipe.noise.draws import Draws
    from kepipe.objectives.base import Objective
    from kepipe.tokenization.tokenizer import Tokenizer


class Masking(Section):
    """How many tokens are selected, and what becomes of them."""

    share: float = Field(0.15, gt=0, lt=1)
    """Share of a row's tokens that the model has to restore."""
    masked: float = Field(0.8, ge=0, le=1)
    """Share of these that become the mask token."""
    random: float = Field(0.1, ge=0, le=1)
    """Share of these that become another token; the rest stay as they are."""
    schedule: Schedule = "dynamic"
    """When what is hidden of an example is drawn: once (static), `copies` times and then in turn (duplicated), or at
    every visit (dynamic); Liu et al. 2019, §4.1."""
    copies: int = Field(10, ge=1)
    """Draws of a duplicated schedule."""

    @model_validator(mode="after")
    def _shares_fit(self) -> Masking:
        if self.masked + self.random > 1:
            raise ValueError(f"masked ({self.masked}) and random ({self.random}) add up to more than 1")
        return self


class MaskingPairs(Masking):
    """Masking of rows that may be pairs."""

    next_sentence: bool = True
    """Learn to tell whether the second segment follows the first, where the format makes pairs."""


class MLM(MaskingPairs):
    """Restore hidden tokens, or whole hidden words."""

    name: Literal["mlm"] = "mlm"
    level: Literal["token", "word"] = "token"
    """What is selected as a whole: a token of the tokenizer, or a word (whole-word masking)."""


def build(section: MLM, tokenizer: Tokenizer) -> Objective:
    """The objective over a tokenizer's ids."""
    from kepipe.noise.tokens import select_tokens
    from kepipe.noise.units import select_units
    from kepipe.objectives.masked_lm import masked_lm

    def select(rows: TokenRows, draws: Draws, _progress: float) -> Bools:
        if section.level == "word":
            return select_units(rows.units["word"], draws, section.share)
        return select_tokens(rows.special, draws, section.share)

    return masked_lm(select, tokenizer, section, section.next_sentence)
