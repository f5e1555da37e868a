"""Settings of low-rank adaptation (see `lora.py`)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kepipe.config import Section


class LoraSettings(Section):
    """Low-rank matrices that are trained while the model's own weights are frozen."""

    rank: int = Field(8, ge=1)
    """Rank of the update."""
    alpha: float = Field(16.0, gt=0)
    """The update is scaled by alpha / rank."""
    layers: Literal["attention", "all"] = "attention"
    """Which linear layers are adapted: those of attention, or all within the model's layers."""
