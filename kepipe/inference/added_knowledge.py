"""Knowledge for a model that is only measured: methods besides those that the model's folder brings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kepipe.inference.opening import OpenedModel
    from kepipe.knowledge.base import KnowledgeSettings


@dataclass(frozen=True)
class AddedKnowledge:
    """`methods` take the place of the folder's own of their names; `folders`: see `kepipe.knowledge.base.Sources`."""

    methods: Sequence[KnowledgeSettings] = ()
    folders: Mapping[str, Path | None] = field(default_factory=dict)

    def to(self, model: OpenedModel) -> OpenedModel:
        """The model with it; one that only says how likely a text is reads the text alone.

        Raises ValueError for a model that has no weights for a method.
        """
        if not self.methods or model.encoder is None:
            return model
        from kepipe.inference.opening import read_encoder_config
        from kepipe.knowledge.base import Sources
        from kepipe.knowledge.opening import open_own
        from kepipe.tokenization.tokenizer import load_tokenizer

        sources = Sources(load_tokenizer(model.folder), read_encoder_config(model.folder), **self.folders)
        return replace(model, knowledge=open_own(model.folder, sources, methods=self.methods))
