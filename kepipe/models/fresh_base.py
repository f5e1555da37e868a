"""`base:` of a family outside the configurable `Transformer`: what its settings have in common, however it is made."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from kepipe.config import Section

if TYPE_CHECKING:
    from kepipe.models.protocols import ModelConfig


class FreshBase(Section):
    """Settings of a family; a subclass has the field `family`. A trained model is named by `base: {from: …}`, whatever
    its family is."""

    family: str

    @property
    def trained(self) -> None:
        """See `Base`: a family's settings are those of a fresh model."""
        return

    @abstractmethod
    def configure(self, vocabulary: int) -> ModelConfig:
        """The config of the model, as far as it is known before there is a text."""
