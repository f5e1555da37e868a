"""`causal-lm`: predict each token from the tokens before it (GPT; Radford et al. 2018). `prefix-lm`: the same after a
prefix that is read in both directions (Raffel et al. 2020, §3.2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from kepipe.objectives.settings import ObjectiveSettings

if TYPE_CHECKING:
    import numpy as np

    from kepipe.data.batch import Batch, TokenRows
    from kepipe.objectives.base import Objective
    from kepipe.tokenization.tokenizer import Tokenizer


class CausalLM(ObjectiveSettings):
    """Predict each token from the tokens before it."""

    name: Literal["causal-lm"] = "causal-lm"


class PrefixLM(ObjectiveSettings):
    """Read a prefix in both directions, and predict the tokens after it."""

    name: Literal["prefix-lm"] = "prefix-lm"
    shortest: float = Field(0.0, ge=0, lt=1)
    """Minimum length of the prefix, as a share of the row."""
    longest: float = Field(0.9, ge=0, lt=1)
    """Maximum length of the prefix, as a share of the row; lengths are drawn uniformly between the two."""

    @model_validator(mode="after")
    def _in_order(self) -> PrefixLM:
        if self.shortest > self.longest:
            raise ValueError(f"shortest ({self.shortest}) must not be above longest ({self.longest})")
        return self


def build_causal(_section: CausalLM, _tokenizer: Tokenizer) -> Objective:
    """The objective; it needs no special token."""
    import numpy as np

    from kepipe.data.batch import Batch
    from kepipe.objectives.base import Objective
    from kepipe.objectives.losses import TokenLoss, tensor
    from kepipe.objectives.seq2seq_lm import next_tokens

    def collate(rows: TokenRows, _rng: np.random.Generator, _progress: float) -> Batch:
        writes_BT, next_BT = next_tokens(rows)
        return Batch(
            tokens=tensor(rows.tokens),
            documents=tensor(rows.documents),
            visibility="causal",
            label_positions=tensor(np.flatnonzero(writes_BT)),
            labels=tensor(next_BT[writes_BT]),
        )

    return Objective(collate, TokenLoss("lm"))


def build_prefix(section: PrefixLM, _tokenizer: Tokenizer) -> Objective:
    """The objective; it needs no special token."""
    import numpy as np

    from kepipe.data.batch import Batch
    from kepipe.objectives.base import Objective
    from kepipe.objectives.losses import TokenLoss, tensor
    from kepipe.objectives.seq2seq_lm import next_tokens

    def collate(rows: TokenRows, rng: np.random.Generator, _progress: float) -> Batch:
        lengths_B = (rows.documents > 0).sum(1)
        share_B = rng.uniform(section.shortest, section.longest, len(lengths_B))
        prefix_BT = np.arange(rows.tokens.shape[1]) < (share_B * lengths_B).astype(np.int64)[:, None]
        writes_BT, next_BT = next_tokens(rows)
        writes_BT[:, :-1] &= ~prefix_BT[:, 1:]  # the prefix's last token predicts the first after it
        return Batch(
            tokens=tensor(rows.tokens),
            documents=tensor(rows.documents),
            visibility="prefix",
            prefix=tensor(prefix_BT),
            label_positions=tensor(np.flatnonzero(writes_BT)),
            labels=tensor(next_BT[writes_BT]),
        )

    return Objective(collate, TokenLoss("lm"))
