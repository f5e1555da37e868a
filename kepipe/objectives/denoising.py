"""`denoising`: reconstruct a corrupted text (BART; Lewis et al. 2020, §2.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from kepipe.objectives.settings import ObjectiveSettings

if TYPE_CHECKING:
    import numpy as np

    from kepipe.data.batch import Batch, TokenRows
    from kepipe.objectives.base import Objective
    from kepipe.tokenization.tokenizer import Tokenizer


class DenoisingLM(ObjectiveSettings):
    """Reconstruct the original text. A share of 0 turns a corruption off; the defaults are the published model's."""

    name: Literal["denoising"] = "denoising"
    permute: float = Field(1.0, ge=0, le=1)
    """Share of rows whose sentences are shuffled."""
    mask: float = Field(0.0, ge=0, le=1)
    """Share of words that are masked."""
    delete: float = Field(0.0, ge=0, le=1)
    """Share of words that are deleted."""
    infill: float = Field(0.3, ge=0, le=1)
    """Share of words in spans, each of which is replaced by one mask."""
    mean_span: float = Field(3.0, gt=0)
    """Mean length of these spans (Poisson)."""
    rotate: float = Field(0.0, ge=0, le=1)
    """Share of rows that are rotated to begin at a random token."""


def build(section: DenoisingLM, tokenizer: Tokenizer) -> Objective:
    """The objective over a tokenizer's ids."""
    from kepipe.noise.sentences import Denoising, corrupt, frame, hide_span, take_text
    from kepipe.objectives.base import Objective
    from kepipe.objectives.losses import TokenLoss
    from kepipe.objectives.seq2seq_lm import teacher_forced

    noise = Denoising(**section.model_dump(exclude={"name"}))

    def collate(rows: TokenRows, rng: np.random.Generator, _progress: float) -> Batch:
        text = take_text(rows)
        source, lengths = (
            corrupt(text, noise, tokenizer.mask, rng)
            if rows.salient is None
            else hide_span(text, rows.salient[~rows.special], tokenizer.mask)
        )
        framed = [
            frame(rows, sizes, begin=tokenizer.cls, end=tokenizer.sep, pad_id=tokenizer.pad)
            for rows, sizes in ((source, lengths), (text.tokens, text.lengths))
        ]
        return teacher_forced(
            framed[0], lengths + 2, framed[1], text.lengths + 2, start=tokenizer.sep, pad=tokenizer.pad
        )

    return Objective(collate, TokenLoss("lm"))
