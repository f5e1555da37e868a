"""The config of a convolutional network, and its settings under `base:`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, model_validator

from kepipe.models.config_values import as_written
from kepipe.models.networks.config import NetworkConfig, TokenTableBase

WIDEST = 63
"""Maximum width of a filter in tokens."""


@dataclass(frozen=True, kw_only=True)
class CNNConfig(NetworkConfig):
    """`hidden`: number of filters of a layer, an equal share for each of the `widths` (in tokens)."""

    layers: int = 1
    widths: tuple[int, ...] = (3,)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layers < 1:
            raise ValueError(f"layers must be at least 1, not {self.layers}")
        require_shares(self.hidden, self.widths)


def require_shares(hidden: int, widths: Sequence[int]) -> None:
    """Raise ValueError for invalid widths, or if `hidden` is not a multiple of their number."""
    if not widths or any(type(width) is not int or not 1 <= width <= WIDEST for width in widths):
        raise ValueError(
            f"widths: expected one or more numbers from 1 to {WIDEST}, found {as_written(list(widths))}"
        )
    if hidden % len(widths):
        raise ValueError(f"hidden {hidden} is not a multiple of the number of widths, {len(widths)}")


class CNNBase(TokenTableBase):
    """Convolutions over tokens, with max-over-time pooling for a text (Kim 2014)."""

    family: Literal["cnn"] = "cnn"
    """An encoder of filters over neighbouring tokens."""
    hidden: int = Field(300, ge=1, le=8192)
    """Number of filters of a layer, of all widths together: the width of the hidden states."""
    widths: tuple[int, ...] = (3, 4, 5)
    """Widths of the filters, in tokens; each has an equal share of the filters."""
    layers: int = Field(1, ge=1, le=64)
    """Number of layers, with residual connections from the second on."""

    @model_validator(mode="after")
    def _fits(self) -> CNNBase:
        require_shares(self.hidden, self.widths)
        return self

    def configure(self, vocabulary: int) -> CNNConfig:
        """See `FreshBase`."""
        return CNNConfig(
            family=self.family,
            vocabulary=vocabulary,
            embedding=self.embedding,
            hidden=self.hidden,
            layers=self.layers,
            widths=self.widths,
            dropout=self.dropout,
        )
