"""The base class of `base:` for all families outside the configurable `Transformer`."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from kepipe.config import Section

if TYPE_CHECKING:
    from kepipe.models.protocols import ModelConfig


class FreshBase(Section):
    """Settings of a fresh model of a family; subclasses narrow the field `family`. (A trained model of any family is
    `base: {from: …}`.)"""

    family: str

    @property
    def trained(self) -> None:
        """See `Base`: None, since these are settings of a fresh model."""
        return

    @abstractmethod
    def configure(self, vocabulary: int) -> ModelConfig:
        """The config of the model, as far as it does not depend on the text."""
