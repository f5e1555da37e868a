"""Knowledge for a model that is only used: methods besides those that the model's folder brings."""

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
    """`methods` take the place of the folder's own of their names; `folders`: see `kepipe.knowledge.base.Sources`."""

    methods: Sequence[KnowledgeSettings] = ()
    folders: Mapping[str, Path | None] = field(default_factory=dict)


OWN = AddedKnowledge()
"""What the folder carries, and nothing else."""


def refusals(methods: Sequence[KnowledgeSettings], model: ModelConfig, name: str) -> Iterator[ConfigConflict]:
    """Why a model, called `name`, cannot be asked with these methods: it is no encoder, has no weights for one, or only
    goes on with texts, which one does not enter."""
    if not methods:
        return
    from kepipe.knowledge import table
    from kepipe.models.protocols import EncoderConfig  # with torch, which planning else does without

    if not isinstance(model, EncoderConfig):
        yield ConfigConflict("knowledge", f"`{name}` is of a kind that takes no knowledge: leave it out")
        return
    yield from table.unlearned(methods, model, name)
    if "language-model" in model.capabilities and "masked-lm" not in model.capabilities:
        yield from table.not_with_prompts(methods, model, name)
