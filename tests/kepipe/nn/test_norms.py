"""The norm of K-BERT's release by its formula."""

from __future__ import annotations

import torch

from kepipe.nn.norms import UnbiasedNorm


def test_unbiased_norm_by_its_formula() -> None:
    norm = UnbiasedNorm(3, eps=0.5)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, 2.0, 3.0]))
        norm.bias.copy_(torch.tensor([0.0, 0.0, 1.0]))
    row = torch.tensor([[1.0, 2.0, 3.0]])  # the mean is 2, the deviation 1
    torch.testing.assert_close(norm(row), torch.tensor([[-1 / 1.5, 0.0, 3 / 1.5 + 1]]))


def test_epsilon_of_the_unbiased_norm_is_1e_6() -> None:
    row = torch.tensor([[0.0, 1e-5, 2e-5]])  # a deviation of 1e-5
    torch.testing.assert_close(UnbiasedNorm(3)(row), torch.tensor([[-1, 0, 1]]) / 1.1)
