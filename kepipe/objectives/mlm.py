"""`mlm`: BERT's and RoBERTa's objective (Devlin et al. 2019, Liu et al. 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from kepipe.noise.draws import Schedule
from kepipe.objectives.settings import ObjectiveSettings

if TYPE_CHECKING:
    from kepipe.arrays import Bools
    from kepipe.data.batch import TokenRows
    from kepipe.noise.draws import Draws
    from kepipe.objectives.base import Objective
    from kepipe.tokenization.tokenizer import Tokenizer


class Masking(ObjectiveSettings):
    """How many tokens are selected, and what becomes of them."""

    renamed: ClassVar[Mapping[str, str]] = {
        "share": "mlm_probability",
        "masked": "mask_prob",
        "random": "random_prob",
    }

    mlm_probability: float = Field(0.15, gt=0, lt=1)
    """Share of a row's tokens that are selected and predicted."""
    mask_prob: float = Field(0.8, ge=0, le=1)
    """Share of the selected tokens that become the mask token."""
    random_prob: float = Field(0.1, ge=0, le=1)
    """Share of the selected tokens that become a random token; the rest stay as they are."""
    schedule: Schedule = "dynamic"
    """When the masking of an example is drawn: once (static), `copies` times, used in turn (duplicated), or at each
    use (dynamic); Liu et al. 2019, §4.1."""
    copies: int = Field(10, ge=1)
    """Number of maskings per example, with `schedule: duplicated`."""

    @model_validator(mode="after")
    def _shares_fit(self) -> Masking:
        if self.mask_prob + self.random_prob > 1:
            raise ValueError(
                f"mask_prob ({self.mask_prob}) and random_prob ({self.random_prob}) add up to more than 1"
            )
        return self


class MaskingPairs(Masking):
    """Masking of rows that may be pairs."""

    next_sentence: bool = True
    """Next-sentence prediction: learn whether the second segment follows the first, if the format makes pairs."""

    def row_label_setting(self) -> str | None:
        """See `ObjectiveSettings`."""
        return "next_sentence" if self.next_sentence else None


class MLM(MaskingPairs):
    """Predict masked tokens, or whole masked words."""

    name: Literal["mlm"] = "mlm"
    level: Literal["token", "word", "phrase", "entity"] = "token"
    """The unit that is masked as a whole: a token, a word (whole-word masking), a phrase, or the linked name of an
    entity; outside phrases and entities, words (one level of `knowledge: ernie-baidu`)."""


def build(section: MLM, tokenizer: Tokenizer) -> Objective:
    """The objective over a tokenizer's ids."""
    from kepipe.noise.tokens import select_tokens
    from kepipe.noise.units import select_units
    from kepipe.objectives.masked_lm import masked_lm

    def select(rows: TokenRows, draws: Draws, _progress: float) -> Bools:
        if section.level == "token":
            return select_tokens(rows.special, draws, section.mlm_probability)
        return select_units(rows.units[section.level], draws, section.mlm_probability)

    return masked_lm(select, tokenizer, section, section.next_sentence)
