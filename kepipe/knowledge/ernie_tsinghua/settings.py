"""The settings of ERNIE (Tsinghua), as the YAML has them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from kepipe.config import Section
from kepipe.knowledge.base import KnowledgeSettings
from kepipe.models.config import FusionConfig

REPLACED, REMOVED = 0.05, 0.15
"""Shares of the links that lead to another entity, and of those that are taken away; the rest stay."""


class Weights(Section):
    """What each loss counts in their sum. Losses are logged with their weights."""

    mlm: float = Field(1.0, ge=0)
    """Hidden tokens."""
    nsp: float = Field(1.0, ge=0)
    """Whether the second segment follows the first."""
    dea: float = Field(1.0, ge=0)
    """Entities of the linked mentions."""


class ErnieTsinghua(KnowledgeSettings):
    """Fuse the vectors of a graph's entities with the tokens that name them, and learn to tell which entity it is."""

    method: Literal["ernie-tsinghua"] = "ernie-tsinghua"
    first: int | None = Field(None, ge=0)
    """Plain layers before the first that fuses (default: 5 of 12, and as many of others)."""
    entity_hidden: int | None = Field(None, ge=1)
    """Width of the entities, which is that of their vectors (default: what they have; 100 as published)."""
    entity_heads: int = Field(4, ge=1)
    """Heads of the attention among entities."""
    train_vectors: bool = False
    """Train the entity vectors too, as a table in the model: for small graphs. Else they stay as they are."""
    denoising: bool = True
    """Pretrain with the denoising entity auto-encoder; without, links stay whole and no entity is asked for."""
    replaced: float = Field(REPLACED, ge=0, le=1)
    """Share of the links that lead to another entity in pretraining."""
    removed: float = Field(REMOVED, ge=0, le=1)
    """Share of the links that are taken away in pretraining; the rest stay as they are."""
    weights: Weights = Weights()
    """What each loss counts."""
    upstream: bool = False
    """As the released code: a replaced link leads to an entity of the batch, which may be its own, and "no entity",
    a vector of zeros, stands among those to choose from."""

    @model_validator(mode="after")
    def _links_fit(self) -> ErnieTsinghua:
        if self.replaced + self.removed > 1:
            raise ValueError(f"replaced ({self.replaced}) and removed ({self.removed}) add up to more than 1")
        return self

    def fusion(self, layers: int, width: int, rows: int) -> FusionConfig:
        """What it means for an encoder of so many layers and a table of `rows` vectors of `width` numbers.

        Raises ValueError where the vectors do not fit.
        """
        if self.entity_hidden not in (None, width):
            raise ValueError(
                f"knowledge: ernie-tsinghua has entity_hidden {self.entity_hidden}, the entity vectors have {width} "
                f"numbers: leave entity_hidden out, or set `dim: {self.entity_hidden}` in the stage that makes them"
            )
        if width % self.entity_heads:
            raise ValueError(
                f"knowledge: entity vectors of {width} numbers cannot be shared out to {self.entity_heads} heads: set "
                "entity_heads to a divisor"
            )
        first = layers * 5 // 12 if self.first is None else self.first
        return FusionConfig(
            first=first, hidden=width, heads=self.entity_heads, rows=rows if self.train_vectors else 0
        )
