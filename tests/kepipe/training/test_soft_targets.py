"""The similarity term, by hand."""

from __future__ import annotations

import pytest
import torch

from kepipe.training.soft_targets import similarity_difference


def test_difference_of_similarities_by_hand() -> None:
    """Two vectors at 90° against two at 60°, of another width: two of the four pairs differ by cos 60° = 1/2."""
    ours_ND = torch.tensor([[3.0, 0.0], [0.0, 0.5]])
    theirs_ND = torch.tensor([[2.0, 0.0, 0.0], [0.5, 3**0.5 / 2, 0.0]])
    assert similarity_difference(ours_ND, theirs_ND).item() == pytest.approx(2 * 0.5**2 / 4)
    assert similarity_difference(ours_ND, 7 * ours_ND).item() == pytest.approx(0.0, abs=1e-12)


def test_no_vectors_differ_by_zero_and_have_a_gradient() -> None:
    ours_ND = torch.zeros(0, 2, requires_grad=True)
    difference = similarity_difference(ours_ND, torch.zeros(0, 3))
    difference.backward()
    assert difference.item() == 0.0
