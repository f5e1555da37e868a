"""Rotary positions: scores depend only on the distance between query and key."""

from __future__ import annotations

import math

import pytest
import torch

from kepipe.nn.query_positions import QueryPositions
from kepipe.nn.rotary import rotation


def test_rotary_rotates_pairs_by_their_angle() -> None:
    x_BTHK = torch.tensor([1.0, 0.0, 0.0, 2.0]).expand(1, 3, 1, 4)  # pairs (1, 0) and (0, 2)
    turned = rotation(torch.arange(3), 1, 4, theta=100.0).turn(x_BTHK)
    one, tenth = 2.0, 0.2  # at position 2, angles 2 · 100^0 and 2 · 100^(-1/2)
    expected = [math.cos(one), -2 * math.sin(tenth), math.sin(one), 2 * math.cos(tenth)]
    assert turned[0, 2, 0].tolist() == pytest.approx(expected, abs=1e-6)
    assert torch.equal(turned[0, 0], x_BTHK[0, 0]), "position 0 is not rotated"


def test_rotary_scores_depend_only_on_distance() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 1, 1, 1, 8, generator=generator).double()
    here = torch.tensor([[0, 3], [20, 23], [7, 4]])
    turned = [rotation(here, 1, 8, theta=10.0), rotation(here, 1, 8, theta=10.0)]
    q_B2HK, k_B2HK = (part.turn(x.expand(3, 2, 1, 8)) for part, x in zip(turned, (q, k), strict=True))
    scores = (q_B2HK[:, 0] * k_B2HK[:, 1]).sum((-1, -2))
    assert float(scores[0]) == pytest.approx(float(scores[1]), rel=1e-5)
    assert abs(float(scores[0] - scores[2])) > 1e-3


def test_rotary_at_query_positions() -> None:
    places = torch.tensor([[4, 1], [0, 2]])
    whole = rotation(torch.arange(5), 3, 6, theta=50.0)
    x = torch.randn(2, 2, 3, 6, generator=torch.Generator().manual_seed(0))
    some = whole.at(QueryPositions(places, torch.arange(4))).turn(x)
    assert torch.allclose(some, rotation(places, 3, 6, theta=50.0).turn(x), atol=1e-6)
