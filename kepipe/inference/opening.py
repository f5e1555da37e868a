"""A model folder, opened for use: what the model can be asked, and the knowledge that its folder carries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from kepipe.models.protocols import Encoder, LanguageModel, MaskedLanguageModel

if TYPE_CHECKING:
    from kepipe.data.batch import Batch, Mentions
    from kepipe.knowledge.base import Knowledge
    from kepipe.models.entities import EntityVectors


@dataclass(frozen=True)
class OpenedModel:
    """What a model folder can be used as; None where it cannot.

    `knowledge`: what goes with the text where the model reads it (`Knowledge.apply`).
    """

    folder: Path
    language_model: LanguageModel | None = None
    masked_language_model: MaskedLanguageModel | None = None
    encoder: Encoder | None = None
    knowledge: Knowledge | None = None


def open_model(folder: Path, device: str = "cpu") -> OpenedModel:
    """The model of a folder on a device. Raises ValueError where the folder holds none."""
    from kepipe.models import folder as models
    from kepipe.models.lm_scorer import LMScorer, prompt_style_of, writes
    from kepipe.models.mask_filler import MaskFiller, fills_masks
    from kepipe.tokenization.tokenizer import load_tokenizer

    model, tokenizer = models.load(folder).to(device), load_tokenizer(folder)
    return OpenedModel(
        folder,
        language_model=LMScorer(model, tokenizer, prompt_style_of(model, folder)) if writes(model) else None,
        masked_language_model=MaskFiller(model, tokenizer) if fills_masks(model) else None,
        knowledge=None if model.config.fusion is None else _FusedVectors.open(folder),
    )


class _FusedVectors:
    """The `Knowledge` of a model that fuses entities with tokens: the vectors in its folder."""

    def __init__(self, vectors: EntityVectors) -> None:
        self._vectors = vectors
        self._ids: Sequence[str] = ()
        self._rows = np.array([-1])

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The vectors of a folder. Raises ValueError where it has none."""
        from kepipe.models.entities import EntityVectors

        return cls(EntityVectors.open(folder))

    def apply(self, batch: Batch, mentions: Mentions) -> Batch:
        """The batch with the vector of each mention at its first token."""
        from kepipe.models.entities import attach

        if self._ids is not mentions.ids:
            self._ids, self._rows = mentions.ids, np.append(self._vectors.rows(mentions.ids), -1)
        links_BT = np.full(tuple(batch.tokens.shape), -1, np.int64)
        links_BT[mentions.rows, mentions.first] = self._rows[mentions.entities]
        return attach(batch, links_BT, self._vectors)

    def knows(self, entity: str) -> bool:
        """Whether there is a vector of an entity."""
        return bool(self._vectors.rows([entity])[0] >= 0)

    def save(self, folder: Path) -> None:
        """Put the vectors into a model's folder."""
        self._vectors.save(folder)
