"""Initialisation of the output bias at the tokens' frequencies in the corpus.

Without it a model first learns the frequencies, and does so by turning all hidden states into one direction, that of
the frequent tokens. Behind a post-norm, which keeps their length, their differences are then nearly lost, and the
losses of BERT, BART and MASS stay at the tokens' frequencies for hundreds of updates.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import numpy as np
import torch

from kepipe.arrays import Ints
from kepipe.models.transformer import Transformer
from kepipe.nn.heads import PredictionTransform, VocabularyHead


class TokenTeller(Protocol):
    """A model with a vocabulary head."""

    head: VocabularyHead


def init_output_bias(model: TokenTeller, counts_V: Ints) -> None:
    """Set the output bias to log((count + 1) / Σ(count + 1)); does nothing for a model without one.

    `counts_V`: the count of each token in the corpus, int [V].
    """
    if model.head.bias is None:
        return
    frequent_V = np.log((counts_V + 1.0) / (counts_V + 1.0).sum())
    with torch.no_grad():
        model.head.bias.copy_(torch.from_numpy(frequent_V))


LINEAR = 4.0, 16.0
"""Slope and offset of a linear transform behind GELU: gelu(4 x + 16) is 4 x + 16 to 1e-3 for x > −3, and the norm after
it removes both. A smaller slope would lose more to rounding in bf16."""
TIED_SCALE = 0.35
"""Scale of such a head's hidden states, with which the first held-out loss of MiniLM is lowest on news and abstracts
(`tests/benchmarks/first_loss.py`)."""


def lacks_head(model: Transformer, missing: Collection[str]) -> bool:
    """Whether a folder lacked the whole vocabulary head of its model, one of BERT's form with tied embeddings.
    `missing`: names of the weights that it lacked."""
    if not isinstance(model.head.transform, PredictionTransform) or model.head.weight is not None:
        return False
    return all(f"head.{name}" in missing for name, _ in model.head.named_parameters())


def init_tied_head(model: Transformer, scale: float = TIED_SCALE) -> None:
    """Initialise the head so that logits are products with the token embeddings: its transform only normalises the
    hidden states, and scales them by `scale`."""
    transform = model.head.transform
    assert isinstance(transform, PredictionTransform)
    slope, offset = LINEAR
    with torch.no_grad():
        transform.dense.weight.copy_(slope * torch.eye(model.config.hidden))
        transform.dense.bias.fill_(offset)
        for name, value in {"weight": scale, "bias": 0.0}.items():
            transform.norm.get_parameter(name).fill_(value)
