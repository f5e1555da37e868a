"""Defaults of fine-tuning that depend on the model and on the size of the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kepipe.models.protocols import TrainableEncoder

EPOCHS, MOST_EPOCHS, FEWEST_UPDATES = 3, 20, 400
"""Default number of epochs: 3, on small data as many as give 400 updates, at most 20, the number of epochs in Mosbach
et al. 2021, "On the Stability of Fine-tuning BERT"."""
NEW_WEIGHTS = {"head": 1e-3, "lora": 5e-4}
"""Learning rates if only new weights are trained: a head, or low-rank matrices."""
STANDARDISED = 1e-2
"""Learning rate of a head over standardised features."""
OTHER_NETWORKS = 1e-3
"""Learning rate of a network that is no transformer."""
WORD_VECTORS = 1e-2
"""Learning rate of a model without layers."""
TRANSFORMER_RATE, REFERENCE_WIDTH = 5e-5, 768
"""Learning rate of a transformer of this width (Devlin et al. 2019, A.3)."""


def default_epochs(per_epoch: int) -> int:
    """The number of epochs if none is set. `per_epoch`: updates in an epoch."""
    return min(MOST_EPOCHS, max(EPOCHS, -(-FEWEST_UPDATES // per_epoch)))


def default_rate(encoder: TrainableEncoder, train: str, *, standardised: bool = False) -> float:
    """The peak learning rate if none is set. `train`: which weights are trained, as in `FinetuneConfig`;
    `standardised`: whether the head reads standardised features.

    For transformers a heuristic: that Adam's best rate for hidden matrices is inversely proportional to the width (Yang
    et al. 2022, "Tensor Programs V"), applied to all weights."""
    if standardised:
        return STANDARDISED
    if train in NEW_WEIGHTS:
        return NEW_WEIGHTS[train]
    if not encoder.layer_modules():
        return WORD_VECTORS
    has_attention = getattr(encoder.config, "heads", 0) > 0
    return TRANSFORMER_RATE * REFERENCE_WIDTH / encoder.hidden_size if has_attention else OTHER_NETWORKS
