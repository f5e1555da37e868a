"""`unilm`: masked language modelling under four visibilities: bidirectional, left to right, right to left, and from
source to target (Dong et al. 2019, §2.3). Each batch has one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from kepipe.config import Section
from kepipe.objectives.mlm import MaskingPairs

if TYPE_CHECKING:
    from kepipe.arrays import Bools
    from kepipe.data.batch import TokenRows
    from kepipe.noise.draws import Draws
    from kepipe.objectives.base import Objective
    from kepipe.tokenization.tokenizer import Tokenizer


class Modes(Section):
    """How often each visibility is drawn: weights, of which only the ratios count. The defaults are as published."""

    full: float = Field(2, ge=0)
    """Every token sees every other."""
    prefix: float = Field(2, ge=0)
    """The source is read in both directions, the target left to right."""
    causal: float = Field(1, ge=0)
    """Left to right."""
    backward: float = Field(1, ge=0)
    """Right to left."""

    @model_validator(mode="after")
    def _not_all_zero(self) -> Modes:
        if self.full + self.prefix + self.causal + self.backward <= 0:
            raise ValueError("at least one of full, prefix, causal, backward must be above 0")
        return self


class UniLM(MaskingPairs):
    """Predict masked tokens under several visibilities in turn."""

    name: Literal["unilm"] = "unilm"
    modes: Modes = Modes()
    """How often each visibility is drawn."""
    longer: float = Field(0.2, ge=0, le=1)
    """Share of selections that take two or three tokens instead of one."""
    mode_segments: bool = False
    """Give each visibility its own segment ids, as the released code does; needs a base with 6 segments."""

    def num_segments(self, pairs: bool) -> int:
        """See `ObjectiveSettings`."""
        return 6 if self.mode_segments else super().num_segments(pairs)

    def without(self, kind: str) -> str | None:
        """See `ObjectiveSettings`."""
        return "mode_segments: false" if kind == "segments" and self.mode_segments else None


def build(section: UniLM, tokenizer: Tokenizer) -> Objective:
    """The objective over a tokenizer's ids."""
    from dataclasses import replace

    from kepipe.noise.ngrams import select_ngrams
    from kepipe.objectives.masked_lm import masked_lm
    from kepipe.objectives.unilm_collator import UniLMCollator

    def select(rows: TokenRows, draws: Draws, _progress: float) -> Bools:
        return select_ngrams(rows.special, draws, section.mlm_probability, section.longer)

    masked = masked_lm(select, tokenizer, section, section.next_sentence)
    collator = UniLMCollator(masked.collate, section.modes.model_dump(), section.mode_segments)
    return replace(masked, collate=collator)
