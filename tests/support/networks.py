"""Small networks with random weights, and rows of different lengths."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from kepipe.data.batch import Batch
from kepipe.models.networks.families import NETWORKS, assemble
from kepipe.models.networks.network import Network

VOCABULARY = 23
LENGTHS = (9, 1, 6)
_XL = {"layers": 2, "heads": 2, "feedforward": 12}
OWN: dict[str, dict[str, Any]] = {
    "cnn": {"embedding": 5, "widths": [3, 5]},
    "xlnet": _XL,
    "transformer-xl": _XL,
}
"""Settings of families that differ from the defaults here."""


def network(family: str, seed: int = 0, vocabulary: int = VOCABULARY, **settings: Any) -> Network:
    """A network in evaluation mode. Biases are random as well, so that a missing one is detected."""
    defaults = {"family": family, "hidden": 8, **OWN.get(family, {"embedding": 5})}
    base = NETWORKS[family].section.model_validate(defaults | settings)
    model = assemble(replace(base.configure(vocabulary), start=3)).initialise(seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim < 2:
                weight.add_(torch.randn(weight.shape, generator=generator))
    return model.eval()


def rows(seed: int = 0) -> Batch:
    """Rows of `LENGTHS` tokens, with random padding."""
    tokens_BT = torch.randint(
        0, VOCABULARY, (len(LENGTHS), max(LENGTHS)), generator=torch.Generator().manual_seed(seed)
    )
    documents_BT = (torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]).long()
    return Batch(tokens_BT, documents_BT)


def single_row(batch: Batch, row: int) -> Batch:
    """One row of a batch without padding."""
    length = int((batch.documents[row] > 0).sum())
    return Batch(batch.tokens[row : row + 1, :length], batch.documents[row : row + 1, :length])
