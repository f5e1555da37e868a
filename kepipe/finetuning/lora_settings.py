"""How low-rank adaptation is set (see `lora.py`)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kepipe.config import Section


class LoraSettings(Section):
    """What is learned beside the weights that stay."""

    rank: int = Field(8, ge=1)
    """Width of the two matrices."""
    alpha: float = Field(16.0, gt=0)
    """Their product counts alpha / rank."""
    layers: Literal["attention", "all"] = "attention"
    """Which linear layers get one: those of attention, or all within the model's layers."""
