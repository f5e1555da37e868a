"""Input embeddings: the sum of their parts by its equation."""

from __future__ import annotations

import torch
from torch import nn

from kepipe.nn.embeddings import Embeddings
from kepipe.nn.positions import LearnedPositions


def test_token_vectors_are_scaled_before_adding() -> None:
    """Vaswani et al. 2017, section 3.4: √D · token; the vectors of segments and tasks are added as they are."""
    token_BTD = torch.arange(24.0).reshape(2, 3, 4)
    segments, tasks = nn.Embedding(2, 4), nn.Embedding(3, 4)
    segments_BT, tasks_BT = torch.tensor([[0, 1, 1], [0, 0, 1]]), torch.tensor([[2, 2, 2], [1, 1, 1]])
    embeddings = Embeddings(segments=segments, tasks=tasks, scale=2.0)
    with torch.no_grad():
        given = embeddings(token_BTD, segments_BT=segments_BT, tasks_BT=tasks_BT)
        assert torch.allclose(given, 2 * token_BTD + segments.weight[segments_BT] + tasks.weight[tasks_BT])
        assert torch.allclose(embeddings(token_BTD), 2 * token_BTD + segments.weight[0] + tasks.weight[0])
        assert torch.equal(Embeddings()(token_BTD), token_BTD)


def test_sum_of_embeddings_is_normed() -> None:
    embeddings = Embeddings(segments=nn.Embedding(2, 8), norm=nn.LayerNorm(8), scale=3.0)
    out_BTD = embeddings(torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0)))
    assert torch.allclose(out_BTD.mean(-1), torch.zeros(2, 5), atol=1e-5)
    assert torch.allclose(out_BTD.var(-1, unbiased=False), torch.ones(2, 5), atol=1e-3)


def test_positions_are_added_from_the_first_or_behind_the_past() -> None:
    token_BTD, positions = torch.zeros(2, 3, 4), LearnedPositions(9, 4)
    embeddings = Embeddings(positions=positions)
    assert torch.equal(embeddings(token_BTD)[1], positions.table.weight[:3])
    assert torch.equal(embeddings(token_BTD, past=5)[1], positions.table.weight[5:8])
