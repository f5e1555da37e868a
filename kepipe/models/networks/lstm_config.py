"""The config of an LSTM, and its settings under `base:`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from kepipe.models.networks.config import NetworkConfig, TokenTableBase

if TYPE_CHECKING:
    from kepipe.models.families import Stacks


@dataclass(frozen=True, kw_only=True)
class LSTMConfig(NetworkConfig):
    """`hidden`: width of the states; if bidirectional, half of it for each direction."""

    layers: int = 1
    bidirectional: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layers < 1:
            raise ValueError(f"layers must be at least 1, not {self.layers}")
        if type(self.bidirectional) is not bool:
            raise ValueError("`bidirectional`: expected true or false")
        require_halves(self.hidden, bidirectional=self.bidirectional)

    @property
    def stacks(self) -> Stacks:
        """See `TrainableConfig`: a left-to-right LSTM can continue a text."""
        return "encoder" if self.bidirectional else "decoder"


def require_halves(hidden: int, *, bidirectional: bool) -> None:
    """Raise ValueError if a bidirectional LSTM has an odd width."""
    if bidirectional and hidden % 2:
        raise ValueError(f"hidden {hidden} must be even with `bidirectional`")


class LSTMBase(TokenTableBase):
    """An LSTM (Hochreiter & Schmidhuber 1997)."""

    family: Literal["lstm"] = "lstm"
    """A recurrent network: a language model, or with `bidirectional` an encoder."""
    hidden: int = Field(256, ge=1, le=8192)
    """Width of the hidden states, both directions together."""
    layers: int = Field(1, ge=1, le=64)
    """Number of layers."""
    bidirectional: bool = False
    """Read in both directions, as a masked language model; otherwise left to right, as a language model."""

    @model_validator(mode="after")
    def _fits(self) -> LSTMBase:
        require_halves(self.hidden, bidirectional=self.bidirectional)
        return self

    def configure(self, vocabulary: int) -> LSTMConfig:
        """See `FreshBase`."""
        return LSTMConfig(
            family=self.family,
            vocabulary=vocabulary,
            embedding=self.embedding,
            hidden=self.hidden,
            layers=self.layers,
            bidirectional=self.bidirectional,
            dropout=self.dropout,
        )
