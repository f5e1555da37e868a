"""`span-corruption`: sentinels replace spans, and the decoder predicts the spans (T5; Raffel et al. 2020, §3.1.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from kepipe.arrays import Ints
from kepipe.objectives.settings import ObjectiveSettings

if TYPE_CHECKING:
    import numpy as np

    from kepipe.data.batch import Batch, TokenRows
    from kepipe.objectives.base import Objective
    from kepipe.tokenization.tokenizer import Tokenizer


class SpanCorruption(ObjectiveSettings):
    """Predict the spans that sentinels replace."""

    renamed: ClassVar[Mapping[str, str]] = {"share": "noise_density"}

    name: Literal["span-corruption"] = "span-corruption"
    noise_density: float = Field(0.15, gt=0, lt=1)
    """Share of a row's tokens in corrupted spans."""
    mean_span: float = Field(3.0, ge=1)
    """Mean length of the corrupted spans, in tokens."""

    def row_length(self, length: int) -> int:
        """See `ObjectiveSettings`: 568 for 512, as published."""
        from kepipe.noise.spans import raw_length

        return raw_length(length, self.noise_density, self.mean_span)[0]


def sentinels(tokenizer: Tokenizer) -> Ints:
    """The ids of the sentinels, in order of use. Raises ValueError if the tokenizer has none."""
    if not len(tokenizer.sentinels):
        raise ValueError(
            "the tokenizer has no sentinels (<extra_id_0>, …): leave `from` out of the shards' tokenizer to have one "
            "trained, or name T5's"
        )
    return tokenizer.sentinels


def build(section: SpanCorruption, tokenizer: Tokenizer) -> Objective:
    """The objective over a tokenizer's ids. Raises ValueError if it has no sentinels."""
    from kepipe.noise.spans import collapse_spans, draw_spans
    from kepipe.objectives.base import Objective
    from kepipe.objectives.losses import TokenLoss
    from kepipe.objectives.seq2seq_lm import teacher_forced

    signs = sentinels(tokenizer)

    def collate(rows: TokenRows, rng: np.random.Generator, _progress: float) -> Batch:
        noise_BT = (
            draw_spans(rows.special, rng, section.noise_density, section.mean_span)
            if rows.salient is None
            else rows.salient
        )
        made = collapse_spans(
            rows.tokens,
            noise_BT,
            rows.documents == 0,
            signs,
            pad_id=tokenizer.pad,
            end_id=tokenizer.sep,
        )
        return teacher_forced(
            made.source,
            made.source_lengths,
            made.target,
            made.target_lengths,
            start=tokenizer.pad,
            pad=tokenizer.pad,
        )

    return Objective(collate, TokenLoss("lm"))
