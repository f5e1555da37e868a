"""An estimate of how long a training takes on a card: FLOPs of the matrix products over a share of its peak."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kepipe.training.cards import Card

if TYPE_CHECKING:
    from kepipe.models.config import TransformerConfig

MFU = 0.4
"""The share of the peak that is assumed: no run of kepipe on a card has been measured."""


@dataclass(frozen=True)
class RowLengths:
    """Tokens of a row: of the encoder, of the decoder, and those at which a token is predicted; 0 where a stack is
    absent."""

    encoder: int
    decoder: int
    predicted: float


def training_flops_of(config: TransformerConfig, row: RowLengths) -> float:
    """FLOPs of a forward and backward pass over a row: three times those of the matrix products of the forward pass
    (Kaplan et al. 2020, §2.1).

    An encoder alone computes its last layer's queries and what follows at the predicted places. That causal kernels
    skip a half is left out.
    """
    S, U, H, V = row.encoder, row.decoder, config.hidden, config.vocabulary
    A = config.heads * (config.width or config.hidden // config.heads)
    feedforward = (3 if config.gated else 2) * 2 * H * config.feedforward
    projections = 4 * 2 * H * A  # query, key, value, output
    flops: float = config.encoder_layers * S * (projections + feedforward + 4 * S * A)
    if not config.decoder_layers:
        flops -= (S - row.predicted) * (projections / 2 + feedforward + 4 * S * A)
    flops += config.decoder_layers * U * (projections + feedforward + 4 * U * A)
    if (
        config.encoder_layers and config.decoder_layers
    ):  # queries and outputs of the decoder, keys and values of the encoder
        flops += config.decoder_layers * (U * (projections / 2 + 4 * S * A) + S * projections / 2)
    head = 2 * H * V + (2 * H * H if config.transform else 0)
    return 3.0 * (flops + row.predicted * head)


def hours(flops: float, card: Card, mfu: float = MFU) -> float:
    """Hours of so many FLOPs in 16 bits."""
    return flops / (card.peak * mfu) / 3600
