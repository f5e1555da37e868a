"""The base classes of networks' configs and of their settings under `base:`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field

from kepipe.config import UserSource
from kepipe.models.config_values import require_known, require_values
from kepipe.models.fresh_base import FreshBase

if TYPE_CHECKING:
    from kepipe.models.families import Stacks
    from kepipe.models.protocols import Capability, TrainableConfig

_OF_TEXTS = ("simcse", "text-pairs", "entity-descriptions")
"""Objectives that train text vectors."""


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """The common part of networks' configs; see `TrainableConfig`. `embedding`, `hidden`: widths of the token
    embeddings and of the hidden states; `start`: the token before a text."""

    format: ClassVar[str] = "kepipe-network/1"
    reads_trees: ClassVar[bool] = False
    masks_documents: ClassVar[bool] = False
    positions: ClassVar[int] = 0
    segments: ClassVar[int] = 0
    tasks: ClassVar[int] = 0
    next_sentence: ClassVar[bool] = False

    family: str
    vocabulary: int
    embedding: int
    hidden: int
    dropout: float = 0.0
    start: int | None = None

    def __post_init__(self) -> None:
        require_values(self)
        for name in ("vocabulary", "embedding", "hidden"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")

    @property
    def carries_state(self) -> bool:
        """See `EncoderConfig`."""
        return False

    @property
    def causal(self) -> bool:
        """See `EncoderConfig`."""
        return self.stacks == "decoder"

    @property
    def begins_with_cls(self) -> bool:
        """See `EncoderConfig`: the first token represents the row, unless the model is causal."""
        return not self.causal

    @property
    def stacks(self) -> Stacks:
        """See `TrainableConfig`."""
        return "encoder"

    @property
    def objectives(self) -> frozenset[str]:
        """See `TrainableConfig`."""
        return frozenset({"causal-lm"} if self.causal else {"mlm", "span-masking", *_OF_TEXTS})

    @property
    def capabilities(self) -> frozenset[Capability]:
        """See `ModelConfig`."""
        return frozenset({"encoder", "language-model" if self.causal else "masked-lm"})

    def to_json(self) -> dict[str, Any]:
        """Plain values for `config.json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`. Raises ValueError for unknown keys."""
        require_known(values, cls)
        read: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        return cls(**read)


class NetworkBase(FreshBase):
    """Settings of all families, other than the configurable `Transformer`, that the training loop trains."""

    dropout: float = Field(0.0, ge=0.0, lt=1.0)
    """Dropout in training. 0 by default, since a short pretraining reads each text only once."""

    @abstractmethod
    def configure(self, vocabulary: int) -> TrainableConfig:
        """See `FreshBase`."""


class TokenTableBase(NetworkBase):
    """Settings of families with token embeddings."""

    embedding: int = Field(128, ge=1, le=4096)
    """Width of the token embeddings."""
    embeddings: UserSource | None = None
    """Word vectors as initial token embeddings: a model folder of word2vec, fasttext or glove, or a vector file."""

    @abstractmethod
    def configure(self, vocabulary: int) -> NetworkConfig:
        """See `FreshBase`."""
