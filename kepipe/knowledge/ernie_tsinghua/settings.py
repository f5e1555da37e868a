"""The settings of ERNIE (Tsinghua) in the YAML."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from kepipe.config import Section
from kepipe.knowledge.base import KnowledgeSettings
from kepipe.models.config import FusionConfig

REPLACED, REMOVED = 0.05, 0.15
"""Shares of the links that are replaced by another entity, and that are removed."""


class Weights(Section):
    """Weights of the losses in their sum. Losses are logged with their weights applied."""

    mlm: float = Field(1.0, ge=0)
    """Masked tokens."""
    nsp: float = Field(1.0, ge=0)
    """Whether the second segment follows the first."""
    dea: float = Field(1.0, ge=0)
    """Entities of the linked mentions."""


class ErnieTsinghua(KnowledgeSettings):
    """Fuse entity vectors with the tokens of their mentions, and learn to predict the entity of each mention."""

    method: Literal["ernie-tsinghua"] = "ernie-tsinghua"
    first: int | None = Field(None, ge=0)
    """Number of plain layers before the first fusion layer (default: 5/12 of the layers)."""
    entity_hidden: int | None = Field(None, ge=1)
    """Dimension of the entity states, which must be that of the vectors (default: theirs; 100 as published)."""
    entity_heads: int = Field(4, ge=1)
    """Number of attention heads among entities."""
    train_vectors: bool = False
    """Train the entity vectors too, as a table in the model: for small graphs. Otherwise they are frozen."""
    denoising: bool = True
    """Pretrain with the denoising entity auto-encoder; otherwise links are not corrupted and no entity is predicted."""
    replaced: float = Field(REPLACED, ge=0, le=1)
    """Share of the links that are replaced by another entity in pretraining."""
    removed: float = Field(REMOVED, ge=0, le=1)
    """Share of the links that are removed in pretraining."""
    weights: Weights = Weights()
    """Weights of the losses."""
    upstream: bool = False
    """As in the released code: the replacement is drawn from the batch and may be the link's own entity, and "no
    entity", a zero vector, is among the candidates."""

    @model_validator(mode="after")
    def _links_fit(self) -> ErnieTsinghua:
        if self.replaced + self.removed > 1:
            raise ValueError(f"replaced ({self.replaced}) and removed ({self.removed}) add up to more than 1")
        return self

    def fusion(self, layers: int, width: int, rows: int) -> FusionConfig:
        """The fusion config for an encoder with `layers` layers and a table of `rows` vectors of dimension `width`.

        Raises ValueError if the vectors do not fit.
        """
        if self.entity_hidden not in (None, width):
            raise ValueError(
                f"knowledge: ernie-tsinghua has entity_hidden {self.entity_hidden}, the entity vectors have {width} "
                f"numbers: leave entity_hidden out, or set `dim: {self.entity_hidden}` in the stage that makes them"
            )
        if width % self.entity_heads:
            raise ValueError(
                f"knowledge: entity vectors of dimension {width} cannot be split into {self.entity_heads} heads: set "
                "entity_heads to a divisor"
            )
        first = layers * 5 // 12 if self.first is None else self.first
        return FusionConfig(
            first=first, hidden=width, heads=self.entity_heads, rows=rows if self.train_vectors else 0
        )
