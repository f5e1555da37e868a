"""Knowledge methods for inference, in addition to those in the model's folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kepipe.config import ConfigConflict

if TYPE_CHECKING:
    from kepipe.knowledge.base import KnowledgeSettings
    from kepipe.models.protocols import ModelConfig


@dataclass(frozen=True)
class AddedKnowledge:
    """`methods` replace the folder's own methods of the same name; `folders`: see `kepipe.knowledge.base.Sources`.
    `predicting`: use also the folder's methods that are used only to fill masks."""

    methods: Sequence[KnowledgeSettings] = ()
    folders: Mapping[str, Path | None] = field(default_factory=dict)
    predicting: bool = False


OWN = AddedKnowledge()
"""Only the knowledge in the model's folder."""


def refusals(methods: Sequence[KnowledgeSettings], model: ModelConfig, name: str) -> Iterator[ConfigConflict]:
    """Yield the reasons why these methods cannot be used with a model (`name` in messages): it is not an encoder, it
    lacks a method's weights, or it only generates text and a method does not support prompts."""
    if not methods:
        return
    from kepipe.knowledge import table
    from kepipe.models.protocols import EncoderConfig  # imports torch, which planning does not need otherwise

    if not isinstance(model, EncoderConfig):
        yield ConfigConflict("knowledge", f"`{name}` does not support knowledge methods: leave them out")
        return
    yield from table.unlearned(methods, model, name)
    if "language-model" in model.capabilities and "masked-lm" not in model.capabilities:
        yield from table.not_with_prompts(methods, model, name)
