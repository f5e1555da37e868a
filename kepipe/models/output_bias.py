"""What a model expects before it has learnt to look at a text: each token as often as it stands in the corpus.

Without that, the first thing to learn is how frequent tokens are, and all hidden states learn it together: they turn
into one direction, that of the frequent tokens. Behind a post-norm, which keeps their length as it was, what told them
apart is then nearly gone, and BERT's, BART's and MASS's losses stay at the tokens' frequencies for hundreds of updates.
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
    """A model that says which tokens stand at places."""

    head: VocabularyHead


def init_output_bias(model: TokenTeller, counts_V: Ints) -> None:
    """Set the output bias to log((count + 1) / Σ(count + 1)); a model without one is left as it is.

    `counts_V`: how often each token stands in the corpus.
    """
    if model.head.bias is None:
        return
    frequent_V = np.log((counts_V + 1.0) / (counts_V + 1.0).sum())
    with torch.no_grad():
        model.head.bias.copy_(torch.from_numpy(frequent_V))


LINEAR = 4.0, 16.0
"""Slope and offset of a transform that does nothing: gelu(4 x + 16) is 4 x + 16 to 1e-3 for x > −3, and the norm after
it takes both away again. A smaller slope would lose more to rounding in bf16."""
TIED_SCALE = 0.35
"""Of such a head's hidden states: that with which the held-out loss of MiniLM begins lowest on news and on abstracts
(`tests/benchmarks/first_loss.py`)."""


def lacks_head(model: Transformer, fresh: Collection[str]) -> bool:
    """Whether a model came without its whole vocabulary head, one with BERT's transform over the token table. `fresh`:
    names of the weights that it came without."""
    if not isinstance(model.head.transform, PredictionTransform) or model.head.weight is not None:
        return False
    return all(f"head.{name}" in fresh for name, _ in model.head.named_parameters())


def init_tied_head(model: Transformer, scale: float = TIED_SCALE) -> None:
    """Let the head read the token table: its transform hands the hidden states on, normed, times `scale`."""
    transform = model.head.transform
    assert isinstance(transform, PredictionTransform)
    slope, offset = LINEAR
    with torch.no_grad():
        transform.dense.weight.copy_(slope * torch.eye(model.config.hidden))
        transform.dense.bias.fill_(offset)
        for name, value in {"weight": scale, "bias": 0.0}.items():
            transform.norm.get_parameter(name).fill_(value)
