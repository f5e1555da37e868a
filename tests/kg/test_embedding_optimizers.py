"""Sparse Adam updates the rows of the batch as Adam, and no others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from kg.embedding import Training, train
from kg.embedding_optimizers import make_optimizer
from tests.support.graphs import numbered_graph


class Table(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Embedding(4, 3)
        nn.init.constant_(self.rows.weight, 1.0)


def steps(name: str, *batches: list[int]) -> list[torch.Tensor]:
    """The table after each step on the loss ½ Σ x² over the rows of a batch."""
    model = Table()
    optimizer = make_optimizer(model, "TransE", name, 0.1)  # type: ignore[arg-type]
    after = []
    for batch in batches:
        optimizer.zero_grad()
        (model.rows(torch.tensor(batch)) ** 2 / 2).sum().backward()
        assert model.rows.weight.grad is not None
        assert model.rows.weight.grad.is_sparse == (name == "sparse-adam")
        optimizer.step()
        after.append(model.rows.weight.detach().clone())
    return after


def test_sparse_adam_moves_rows_of_the_batch_like_adam() -> None:
    """The first step has the size of the learning rate for any gradient: 1 → 0.9."""
    (dense_1, dense_2), (sparse_1, sparse_2) = (steps(n, [0, 1], [1, 2]) for n in ("adam", "sparse-adam"))
    assert sparse_1[:2].numpy() == pytest.approx(0.9, abs=1e-5)
    assert torch.allclose(sparse_1, dense_1)
    assert torch.allclose(sparse_2[1], dense_2[1])
    assert torch.equal(sparse_2[0], sparse_1[0])
    assert (dense_2[0] < dense_1[0]).all()  # moved on by its mean of gradients
    assert torch.equal(sparse_2[3], torch.ones(3))


def test_another_model_is_an_error(tmp_path: Path) -> None:
    facts = np.array([[0, 0, 1], [1, 0, 2]], np.int32)
    graph = numbered_graph(tmp_path / "g", 3, 1, train=facts, valid=facts[:0], test=facts[:0])
    with pytest.raises(ValueError, match="sparse-adam trains TransE only, not DistMult"):
        train(graph, Training(model="DistMult", optimizer="sparse-adam"), tmp_path, seed=0)
