"""A model folder, opened for use: what the model can be asked, and the knowledge that its folder carries."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kepipe.models.protocols import Encoder, LanguageModel, MaskedLanguageModel

if TYPE_CHECKING:
    from kepipe.knowledge.base import Knowledge


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
    from kepipe.knowledge.base import Sources
    from kepipe.knowledge.opening import open_own
    from kepipe.models import folder as models
    from kepipe.models.lm_scorer import LMScorer, prompt_style_of, writes
    from kepipe.models.mask_filler import MaskFiller, fills_masks
    from kepipe.tokenization.tokenizer import load_tokenizer

    model, tokenizer = models.load(folder).to(device), load_tokenizer(folder)
    return OpenedModel(
        folder,
        language_model=LMScorer(model, tokenizer, prompt_style_of(model, folder)) if writes(model) else None,
        masked_language_model=MaskFiller(model, tokenizer) if fills_masks(model) else None,
        knowledge=open_own(folder, Sources(tokenizer, model.config)),
    )
