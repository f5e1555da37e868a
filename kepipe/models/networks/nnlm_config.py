"""The config of Bengio's neural language model, and its settings under `base:`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from kepipe.models.config_values import require_size
from kepipe.models.networks.config import NetworkConfig, TokenTableBase

if TYPE_CHECKING:
    from kepipe.models.families import Stacks
    from kepipe.models.protocols import Capability

LONGEST = 64
"""The highest order."""


@dataclass(frozen=True, kw_only=True)
class NNLMConfig(NetworkConfig):
    """`order`: n, the n − 1 context tokens and the predicted one; `direct`: whether the output layer also reads the
    embeddings."""

    order: int = 5
    direct: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        require_size("order", self.order, LONGEST, least=2)
        if type(self.direct) is not bool:
            raise ValueError("`direct`: expected true or false")

    @property
    def stacks(self) -> Stacks:
        """See `TrainableConfig`."""
        return "decoder"

    @property
    def capabilities(self) -> frozenset[Capability]:
        """See `ModelConfig`: no text vectors, as its states only depend on the last tokens."""
        return frozenset({"language-model"})


class NNLMBase(TokenTableBase):
    """The neural probabilistic language model (Bengio et al. 2003)."""

    family: Literal["nnlm"] = "nnlm"
    """A token is predicted from the embeddings of the tokens right before it."""
    order: int = Field(5, ge=2, le=LONGEST)
    """n-gram order: the last of n tokens is predicted from the others."""
    hidden: int = Field(128, ge=1, le=8192)
    """Width of the hidden layer."""
    direct: bool = True
    """Direct connections: whether the output layer also reads the embeddings."""

    def configure(self, vocabulary: int) -> NNLMConfig:
        """See `FreshBase`."""
        return NNLMConfig(
            family=self.family,
            vocabulary=vocabulary,
            embedding=self.embedding,
            hidden=self.hidden,
            order=self.order,
            direct=self.direct,
            dropout=self.dropout,
        )
