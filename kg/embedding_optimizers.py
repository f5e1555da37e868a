"""Optimizers of entity vectors: dense, or sparse for the rows of a batch."""

from __future__ import annotations

from typing import Any, Literal

from kg.embedding_models import TRANSE, name_model

OptimizerName = Literal["adam", "sparse-adam"]


def make_optimizer(model: Any, kind: str, name: OptimizerName, learning_rate: float) -> Any:
    """The optimizer of a PyKEEN model of this `kind`.

    adam: every row is updated in every step, also by momentum, and the gradient is as large as the table. sparse-adam
    (torch.optim.SparseAdam): gradients and moments are updated only for the rows of the batch, so that the cost of a
    step does not depend on the number of entities.

    Raises ValueError for `sparse-adam` with a model other than TransE, whose only weights are tables of vectors.
    """
    import torch

    if name == "adam":
        return torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)
    if name_model(kind) != TRANSE:
        raise ValueError(f"optimizer: sparse-adam trains {TRANSE} only, not {kind}: set `optimizer: adam`")
    for module in model.modules():
        if isinstance(module, torch.nn.Embedding):
            module.sparse = True
    return torch.optim.SparseAdam(model.parameters(), lr=learning_rate)
