"""Feed-forward parts by their equations."""

from __future__ import annotations

import torch

from kepipe.nn.feedforward import FeedForward, GatedFeedForward


def random_input() -> torch.Tensor:
    return torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))


def test_feed_forward_by_its_equation() -> None:
    part, x_BTD = FeedForward(4, 6, torch.relu), random_input()
    up, down = part.up_proj, part.down_proj
    assert (up.weight.shape, down.weight.shape) == ((6, 4), (4, 6))
    expected = torch.relu(x_BTD @ up.weight.T + up.bias) @ down.weight.T + down.bias
    torch.testing.assert_close(part(x_BTD), expected)
    plain = FeedForward(4, 6, torch.relu, bias=False)
    assert plain.up_proj.bias is plain.down_proj.bias is None


def test_gated_feed_forward_by_its_equation() -> None:
    """Shazeer 2020, eq. 6. The projection is W₁, then V; without biases unless they are asked for."""
    part, x_BTD = GatedFeedForward(4, 6, torch.relu), random_input()
    assert (part.up_proj.weight.shape, part.down_proj.weight.shape) == ((12, 4), (4, 6))
    assert part.up_proj.bias is part.down_proj.bias is None
    gate, value = part.up_proj.weight[:6], part.up_proj.weight[6:]
    expected = (torch.relu(x_BTD @ gate.T) * (x_BTD @ value.T)) @ part.down_proj.weight.T
    torch.testing.assert_close(part(x_BTD), expected)
    with_bias = GatedFeedForward(4, 6, torch.relu, bias=True)
    assert with_bias.up_proj.bias is not None
    assert with_bias.down_proj.bias is not None
