"""`mass`: the decoder predicts a fragment of the text that is masked in the encoder (Song et al. 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from kepipe.objectives.settings import ObjectiveSettings

if TYPE_CHECKING:
    import numpy as np

    from kepipe.data.batch import Batch, TokenRows
    from kepipe.objectives.base import Objective
    from kepipe.tokenization.tokenizer import Tokenizer


class Mass(ObjectiveSettings):
    """Predict the masked fragment of a row."""

    renamed: ClassVar[Mapping[str, str]] = {
        "share": "span_fraction",
        "masked": "mask_prob",
        "random": "random_prob",
    }

    name: Literal["mass"] = "mass"
    span_fraction: float = Field(0.5, gt=0, le=1)
    """Length of the fragment, as a share of the row: near 0 it is BERT's task, 1 is GPT's."""
    mask_prob: float = Field(0.8, ge=0, le=1)
    """Share of the fragment's tokens that the encoder sees as the mask."""
    random_prob: float = Field(0.1, ge=0, le=1)
    """Share of the fragment's tokens that the encoder sees as a random token; it sees the rest as they are."""

    @model_validator(mode="after")
    def _shares_fit(self) -> Mass:
        if self.mask_prob + self.random_prob > 1:
            raise ValueError(
                f"mask_prob ({self.mask_prob}) and random_prob ({self.random_prob}) add up to more than 1"
            )
        return self


def build(section: Mass, tokenizer: Tokenizer) -> Objective:
    """The objective over a tokenizer's ids."""
    import numpy as np

    from kepipe.data.batch import Batch
    from kepipe.noise.fragment import cut_fragment, draw_fragment, mark
    from kepipe.noise.tokens import draw_replacements, replace
    from kepipe.objectives.base import Objective
    from kepipe.objectives.losses import TokenLoss, tensor

    def collate(rows: TokenRows, rng: np.random.Generator, _progress: float) -> Batch:
        start_B, length_B = (
            draw_fragment(rows.special, rng, section.span_fraction)
            if rows.salient is None
            else (rows.salient.argmax(1), rows.salient.sum(1))
        )
        hidden_BT = mark(start_B, length_B, rows.tokens.shape[1])
        shown_BT = draw_replacements(
            hidden_BT.shape, tokenizer.mask, tokenizer.ordinary, rng, section.mask_prob, section.random_prob
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

    return Objective(collate, TokenLoss("lm"))
