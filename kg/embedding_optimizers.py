"""Optimizers of entity vectors: of all rows in each step, or of those that the batch names."""

from __future__ import annotations

from typing import Any, Literal

from kg.embedding_models import TRANSE, name_model

OptimizerName = Literal["adam", "sparse-adam"]


def make_optimizer(model: Any, kind: str, name: OptimizerName, learning_rate: float) -> Any:
    """The optimizer of a PyKEEN model of this `kind`.

    adam: every row moves in every step, by its mean of earlier gradients too, and the gradient is as large as the
    table. sparse-adam (torch.optim.SparseAdam): gradients, and the moments they change, are those of the rows that the
    batch names; the others stay. A step then costs what its batch costs, however many entities there are.

    Raises ValueError for `sparse-adam` with another model than TransE, whose only weights are tables of vectors.
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
