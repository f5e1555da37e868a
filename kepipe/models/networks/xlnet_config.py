"""The configs of XLNet and Transformer-XL, and their settings under `base:`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from kepipe.models.config import Activation
from kepipe.models.config_values import require_size
from kepipe.models.families import BASE_AND_LARGE, MINIATURES, Size
from kepipe.models.networks.config import NetworkConfig, TokenTableBase

if TYPE_CHECKING:
    from kepipe.models.families import Stacks
    from kepipe.models.protocols import Capability

SIZES: Mapping[str, Size] = {**MINIATURES, **BASE_AND_LARGE}
"""Published sizes of XLNet: base and large."""
LONGEST = 1 << 20
"""Maximum length of the memory in tokens."""


@dataclass(frozen=True, kw_only=True)
class XLNetConfig(NetworkConfig):
    """`memory`: number of tokens before a row for which the inputs of all layers are kept; `reuse`: at most this many
    first tokens of a row enter the memory (0: all); `clamp`: maximum relative distance (0: none); `same_length`: no
    token sees farther back than the first token of its row; `causal_attention`: tokens see only the tokens before
    them."""

    segments: ClassVar[int] = 2

    layers: int
    heads: int
    feedforward: int
    causal_attention: bool = False
    memory: int = 0
    reuse: int = 0
    clamp: int = 0
    same_length: bool = False
    activation: Activation = "gelu"
    norm_eps: float = 1e-12

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("layers", "heads", "feedforward"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("memory", "reuse", "clamp"):
            require_size(name, getattr(self, name), LONGEST)
        if self.hidden % self.heads or self.hidden % 2:
            raise ValueError(f"hidden {self.hidden} is not an even multiple of heads {self.heads}")
        if self.embedding != self.hidden:
            raise ValueError(f"embedding {self.embedding} is not as wide as hidden {self.hidden}")

    @property
    def stacks(self) -> Stacks:
        """See `TrainableConfig`."""
        return "decoder" if self.causal_attention else "encoder"

    @property
    def begins_with_cls(self) -> bool:
        """See `EncoderConfig`: the last token represents the row."""
        return False

    @property
    def objectives(self) -> frozenset[str]:
        """See `TrainableConfig`."""
        return frozenset({"causal-lm" if self.causal_attention else "permutation-lm"})

    @property
    def capabilities(self) -> frozenset[Capability]:
        """See `ModelConfig`: XLNet continues a text in one of its orders, left to right."""
        return frozenset({"encoder", "language-model"})

    @property
    def carries_state(self) -> bool:
        """See `EncoderConfig`."""
        return self.memory > 0


class _XLBase(TokenTableBase):
    """Settings of XLNet and Transformer-XL."""

    size: Literal[tuple(SIZES)] = "mini"  # type: ignore[valid-type]
    """A published size: base, large; or one of BERT's small ones: tiny, mini, small, medium."""
    layers: int | None = Field(None, ge=1, le=1 << 10)
    """Number of layers, overriding the size's."""
    hidden: int | None = Field(None, ge=1, le=8192)
    """Width of the hidden states, overriding the size's."""
    heads: int | None = Field(None, ge=1)
    """Number of attention heads (default with an explicit `hidden`: hidden / 64)."""
    feedforward: int | None = Field(None, ge=1)
    """Width of the feed-forward layer (default with an explicit `hidden`: 4 · hidden)."""
    embedding: int = Field(0, ge=0, le=8192)
    """Width of the token embeddings: equal to the hidden states, so leave it out."""
    memory: int = Field(0, ge=0, le=LONGEST)
    """Length of the memory: tokens before a row whose hidden states are kept, with `streams: true`; 0: none."""
    reuse: int = Field(0, ge=0, le=LONGEST)
    """Number of a row's first tokens that enter the memory; 0: all. XLNet uses half of a row."""
    clamp: int = Field(0, ge=0, le=LONGEST)
    """Maximum relative distance: larger distances are treated as this one; 0: no maximum."""
    same_length: bool = False
    """Every token of a row sees the same number of tokens before it, memory included."""

    _causal_attention: ClassVar[bool] = False

    @model_validator(mode="after")
    def _fits(self) -> _XLBase:
        size = self._size
        if self.embedding not in (0, size.hidden):
            raise ValueError(f"token embeddings are as wide as hidden states: set `hidden: {self.embedding}`")
        object.__setattr__(self, "embedding", size.hidden)
        self.configure(1)
        return self

    def not_written(self) -> Collection[str]:
        """See `Section`: settings implied by others."""
        return ("embedding",)

    @property
    def _size(self) -> Size:
        size = SIZES[self.size]
        if self.hidden is not None:
            size = Size(size.layers, self.hidden, max(1, self.hidden // 64), 4 * self.hidden)
        return Size(
            self.layers or size.layers,
            size.hidden,
            self.heads or size.heads,
            self.feedforward or size.feedforward,
        )

    def configure(self, vocabulary: int) -> XLNetConfig:
        """See `FreshBase`."""
        size = self._size
        return XLNetConfig(
            family=self.family,
            vocabulary=vocabulary,
            embedding=size.hidden,
            hidden=size.hidden,
            layers=size.layers,
            heads=size.heads,
            feedforward=size.feedforward,
            causal_attention=self._causal_attention,
            memory=self.memory,
            reuse=self.reuse,
            clamp=self.clamp,
            same_length=self.same_length,
            dropout=self.dropout,
        )


class XLNetBase(_XLBase):
    """XLNet (Yang et al. 2019)."""

    family: Literal["xlnet"] = "xlnet"
    """Tokens are predicted in random order, by a second stream of queries that do not see them."""


class TransformerXLBase(_XLBase):
    """Transformer-XL (Dai et al. 2019), with XLNet's layers."""

    family: Literal["transformer-xl"] = "transformer-xl"
    """A left-to-right transformer with a memory of previous rows."""

    _causal_attention: ClassVar[bool] = True
