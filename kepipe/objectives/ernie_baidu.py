"""`ernie-baidu`: knowledge masking in stages, basic → phrase → entity (Sun et al. 2019, "ERNIE: Enhanced
Representation through Knowledge Integration", §3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from kepipe.arrays import Bools
from kepipe.config import Section
from kepipe.objectives.mlm import MaskingPairs

if TYPE_CHECKING:
    from kepipe.data.batch import TokenRows
    from kepipe.noise.draws import Draws
    from kepipe.objectives.base import Objective
    from kepipe.tokenization.tokenizer import Tokenizer

Level = Literal["basic", "phrase", "entity"]


class Stages(Section):
    """Shares of the training that go to each level, in this order. They are weights: only their ratios count."""

    basic: float = Field(1, ge=0)
    """Single tokens: sub-words, Chinese characters."""
    phrase: float = Field(1, ge=0)
    """Whole phrases, and words elsewhere."""
    entity: float = Field(1, ge=0)
    """Whole names of entities, and words elsewhere."""

    @model_validator(mode="after")
    def _not_all_zero(self) -> Stages:
        if self.basic + self.phrase + self.entity <= 0:
            raise ValueError("at least one of basic, phrase, entity must be above 0")
        return self

    def level(self, progress: float) -> Level:
        """The level at a share `progress` of the training, in 0..1; the last one that has a share at its end."""
        total = self.basic + self.phrase + self.entity
        if progress < self.basic / total:
            return "basic"
        if progress < (self.basic + self.phrase) / total:
            return "phrase"
        return "entity" if self.entity else "phrase" if self.phrase else "basic"


class ErnieBaidu(MaskingPairs):
    """Restore what is hidden: first tokens, then whole phrases, then whole names of entities."""

    name: Literal["ernie-baidu"] = "ernie-baidu"
    stages: Stages = Stages()
    """How long each level is trained."""
    upstream: bool = False
    """Choose each unit by a coin of its own, as the released code does, not up to an exact share of the row."""


def build(section: ErnieBaidu, tokenizer: Tokenizer) -> Objective:
    """The objective over a tokenizer's ids."""
    from kepipe.noise.tokens import select_tokens
    from kepipe.noise.units import select_units, select_units_by_coin
    from kepipe.objectives.masked_lm import masked_lm

    choose = select_units_by_coin if section.upstream else select_units

    def select(rows: TokenRows, draws: Draws, progress: float) -> Bools:
        level = section.stages.level(progress)
        if level == "basic":
            return select_tokens(rows.special, draws, section.share)
        return choose(rows.units[level], draws, section.share)

    return masked_lm(select, tokenizer, section, section.next_sentence)
