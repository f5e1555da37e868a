"""The input of the first layer: token embeddings, and the embeddings that are added to them."""

from __future__ import annotations

from torch import Tensor, nn

from kepipe.nn.positions import LearnedPositions


class Embeddings(nn.Module):
    """dropout(norm(scale · token + position + segment + task)). The token embeddings are part of the model."""

    def __init__(
        self,
        *,
        positions: LearnedPositions | None = None,
        segments: nn.Embedding | None = None,
        tasks: nn.Embedding | None = None,
        norm: nn.Module | None = None,
        scale: float = 1.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.positions, self.segments, self.tasks = positions, segments, tasks
        self.norm = nn.Identity() if norm is None else norm
        self.scale = scale
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(
        self,
        embedded_BTD: Tensor,
        *,
        positions_BT: Tensor | None = None,
        segments_BT: Tensor | None = None,
        tasks_BT: Tensor | None = None,
        past: int = 0,
    ) -> Tensor:
        """[B, T, D] → [B, T, D]. Segments and tasks default to 0."""
        x_BTD = embedded_BTD if self.scale == 1.0 else embedded_BTD * self.scale
        if self.positions is not None:
            x_BTD = x_BTD + self.positions(embedded_BTD.shape[1], positions_BT, past)
        for table, ids_BT in ((self.segments, segments_BT), (self.tasks, tasks_BT)):
            if table is not None:
                x_BTD = x_BTD + (table.weight[0] if ids_BT is None else table(ids_BT))
        out_BTD: Tensor = self.dropout(self.norm(x_BTD))
        return out_BTD
