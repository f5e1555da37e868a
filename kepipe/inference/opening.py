"""A model folder, opened for use: what the model can be asked, and the knowledge that its folder carries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kepipe.models import config
from kepipe.models.protocols import Encoder, LanguageModel, MaskedLanguageModel, ModelConfig

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


@dataclass(frozen=True)
class ModelKind:
    """A row: how a model folder is read whose `config.json` has this kind of format."""

    read_config: Callable[[Path], ModelConfig]
    open: Callable[[Path, str], OpenedModel]
    """The folder, the device → the model."""


def open_transformer(folder: Path, device: str) -> OpenedModel:
    """A transformer, and the knowledge that lies beside it."""
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


KINDS: Mapping[str, ModelKind] = {
    "kepipe-transformer": ModelKind(config.read_config, open_transformer),
}
"""The table of kinds of models: the format of a `config.json`, without its version → what reads it. A new kind is a
file and a row."""


def read_config(folder: Path) -> ModelConfig:
    """What the model of a folder is made of. Raises ValueError where the folder holds none."""
    return _kind(folder).read_config(folder)


def open_model(folder: Path, device: str = "cpu") -> OpenedModel:
    """The model of a folder on a device. Raises ValueError where the folder holds none."""
    return _kind(folder).open(folder, device)


def _kind(folder: Path) -> ModelKind:
    name = config.read_format(folder).partition("/")[0]
    if name not in KINDS:
        raise ValueError(f"{folder / config.CONFIG}: not the config of a kepipe model folder")
    return KINDS[name]
