"""Attention in a graph that is exported."""

from __future__ import annotations

import pytest
import torch

from kepipe.nn import attention
from kepipe.nn.attention import Mask, attend


def test_exported_graph_has_written_out_scores_at_any_length(monkeypatch: pytest.MonkeyPatch) -> None:
    class Part(torch.nn.Module):
        def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
            return attend(q, k, v, Mask(), scale=0.5)

    monkeypatch.setattr(attention, "EXPLICIT_LIMIT", 0)
    program = torch.export.export(Part(), tuple(torch.randn(3, 1, 4, 2, 8).unbind(0)))
    called = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert any("softmax" in name for name in called)
    assert not any("scaled_dot_product" in name for name in called)
