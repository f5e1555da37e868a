"""`ernie-tsinghua`: masking, next sentence, and the denoising entity auto-encoder (Zhang et al. 2019, "ERNIE: Enhanced
Language Representation with Informative Entities", §3.4), for a base with `fusion`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from kepipe.arrays import Bools
from kepipe.config import Section
from kepipe.noise.links import REMOVED, REPLACED
from kepipe.objectives.mlm import MaskingPairs

if TYPE_CHECKING:
    from kepipe.data.batch import TokenRows
    from kepipe.noise.draws import Draws
    from kepipe.objectives.base import Objective
    from kepipe.tokenization.tokenizer import Tokenizer


class Weights(Section):
    """What each loss counts in their sum. Losses are logged with their weights."""

    mlm: float = Field(1.0, ge=0)
    """Hidden tokens."""
    nsp: float = Field(1.0, ge=0)
    """Whether the second segment follows the first."""
    dea: float = Field(1.0, ge=0)
    """Entities of the linked mentions."""


class ErnieTsinghua(MaskingPairs):
    """Restore hidden tokens, judge pairs, and name the entity of every linked mention."""

    name: Literal["ernie-tsinghua"] = "ernie-tsinghua"
    replaced: float = Field(REPLACED, ge=0, le=1)
    """Share of the links that lead to another entity."""
    removed: float = Field(REMOVED, ge=0, le=1)
    """Share of the links that are taken away; the rest stay as they are."""
    weights: Weights = Weights()
    """What each loss counts."""
    upstream: bool = False
    """As the released code: a replaced link leads to an entity of the batch, which may be its own, and "no entity",
    a vector of zeros, stands among those to choose from."""

    @model_validator(mode="after")
    def _links_fit(self) -> ErnieTsinghua:
        if self.replaced + self.removed > 1:
            raise ValueError(f"replaced ({self.replaced}) and removed ({self.removed}) add up to more than 1")
        return self


def build(section: ErnieTsinghua, tokenizer: Tokenizer) -> Objective:
    """The objective over a tokenizer's ids."""
    from kepipe.noise.tokens import select_tokens
    from kepipe.objectives.entity_denoising import DenoisingEntities
    from kepipe.objectives.masked_lm import masked_lm

    def select(rows: TokenRows, draws: Draws, _progress: float) -> Bools:
        return select_tokens(rows.special, draws, section.share)

    weights = section.weights
    return DenoisingEntities(
        masked_lm(select, tokenizer, section, section.next_sentence),
        section.replaced,
        section.removed,
        {"mlm": weights.mlm, "nsp": weights.nsp, "dea": weights.dea},
        section.upstream,
    )
