"""`span-masking`: BERT's objective over spans of neighbouring tokens (SpanBERT; Joshi et al. 2020, §3.1).

The spans are T5's, whose lengths are drawn so that they fill the share exactly; SpanBERT's boundary objective is
left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from kepipe.objectives.mlm import MaskingPairs

if TYPE_CHECKING:
    from kepipe.arrays import Bools
    from kepipe.data.batch import TokenRows
    from kepipe.noise.draws import Draws
    from kepipe.objectives.base import Objective
    from kepipe.tokenization.tokenizer import Tokenizer


class SpanMasking(MaskingPairs):
    """Predict masked spans."""

    name: Literal["span-masking"] = "span-masking"
    mean_span: float = Field(3.8, ge=1)
    """Mean length of the masked spans, in tokens."""


def build(section: SpanMasking, tokenizer: Tokenizer) -> Objective:
    """The objective over a tokenizer's ids."""
    from kepipe.noise.spans import draw_spans
    from kepipe.objectives.masked_lm import masked_lm

    def select(rows: TokenRows, draws: Draws, _progress: float) -> Bools:
        return draw_spans(rows.special, draws, section.mlm_probability, section.mean_span)

    return masked_lm(select, tokenizer, section, section.next_sentence)
