"""Heads on hidden states, by hand."""

from __future__ import annotations

import torch
from torch import nn

from kepipe.nn.heads import Pooler, PredictionTransform, VocabularyHead


def test_the_pooler_reads_the_first_token() -> None:
    part, hidden_BTD = Pooler(4), torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0))
    expected = torch.tanh(hidden_BTD[:, 0] @ part.dense.weight.T + part.dense.bias)
    torch.testing.assert_close(part(hidden_BTD), expected)


def test_vocabulary_head_uses_tied_or_own_matrix() -> None:
    hidden_ND, tied_VD = torch.randn(3, 4), torch.randn(7, 4)
    assert torch.equal(VocabularyHead()(hidden_ND, tied_VD), hidden_ND @ tied_VD.T)
    assert VocabularyHead().bias is None
    torch.testing.assert_close(VocabularyHead(scale=0.5)(hidden_ND, tied_VD), hidden_ND @ tied_VD.T / 2)
    torch.testing.assert_close(VocabularyHead(scale=2.0)(hidden_ND, tied_VD), hidden_ND @ tied_VD.T * 2)
    own = VocabularyHead(weight=torch.ones(7, 4), bias=7)
    assert own.bias is not None
    nn.init.constant_(own.bias, 3.0)
    expected = hidden_ND.sum(1, keepdim=True).expand(3, 7) + 3
    torch.testing.assert_close(own(hidden_ND, tied_VD), expected)


def test_vocabulary_head_transforms_another_width() -> None:
    head = VocabularyHead(transform=PredictionTransform(4, nn.ReLU(), nn.Identity(), 6, bias=False))
    assert head(torch.randn(3, 4), torch.randn(7, 6)).shape == (3, 7)
    assert head.transform.dense.bias is None
    plain = PredictionTransform(4, nn.ReLU(), nn.Identity())
    assert plain.dense.weight.shape == (4, 4)
    assert plain.dense.bias is not None


def test_the_loss_is_the_sum_of_the_cross_entropies_of_the_logits() -> None:
    head, hidden_ND, tied_VD = VocabularyHead(scale=2.0, bias=7), torch.randn(3, 4), torch.randn(7, 4)
    labels_N = torch.tensor([0, 6, 2])
    expected = nn.functional.cross_entropy(head(hidden_ND, tied_VD), labels_N, reduction="sum")
    torch.testing.assert_close(head.loss(hidden_ND, tied_VD, labels_N), expected)
