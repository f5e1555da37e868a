"""`mass`: the decoder writes a fragment that the encoder does not see (Song et al. 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from kepipe.config import Section

if TYPE_CHECKING:
    import numpy as np

    from kepipe.data.batch import Batch, TokenRows
    from kepipe.objectives.base import Objective
    from kepipe.tokenization.tokenizer import Tokenizer


class Mass(Section):
    """Write the missing half of a row."""

    name: Literal["mass"] = "mass"
    share: float = Field(0.5, gt=0, le=1)
    """Length of the fragment: near 0 it is BERT's task, 1 is GPT's."""
    masked: float = Field(0.8, ge=0, le=1)
    """Share of the fragment's places that show the mask to the encoder."""
    random: float = Field(0.1, ge=0, le=1)
    """Share of them that show another token; the rest show themselves."""

    @model_validator(mode="after")
    def _shares_fit(self) -> Mass:
        if self.masked + self.random > 1:
            raise ValueError(f"masked ({self.masked}) and random ({self.random}) add up to more than 1")
        return self


def build(section: Mass, tokenizer: Tokenizer) -> Objective:
    """The objective over a tokenizer's ids."""
    import numpy as np

    from kepipe.data.batch import Batch
    from kepipe.noise.fragment import cut_fragment, draw_fragment, mark
    from kepipe.noise.tokens import draw_replacements, replace
    from kepipe.objectives.losses import tensor
    from kepipe.objectives.seq2seq_lm import Seq2SeqLM

    def render(rows: TokenRows, rng: np.random.Generator) -> Batch:
        start_B, length_B = draw_fragment(rows.special, rng, section.share)
        hidden_BT = mark(start_B, length_B, rows.tokens.shape[1])
        shown_BT = draw_replacements(
            hidden_BT.shape, tokenizer.mask, tokenizer.ordinary, rng, section.masked, section.random
        )
        fragment = cut_fragment(rows.tokens, start_B, length_B, pad_id=tokenizer.pad, begin_id=tokenizer.sep)
        return Batch(
            tokens=tensor(replace(rows.tokens, hidden_BT, shown_BT)),
            documents=tensor(rows.documents > 0),
            decoder_tokens=tensor(fragment.tokens),
            decoder_positions=tensor(fragment.positions),
            decoder_documents=tensor(fragment.present),
            label_positions=tensor(np.flatnonzero(fragment.present)),
            labels=tensor(fragment.labels[fragment.present]),
        )

    return Seq2SeqLM(render)
