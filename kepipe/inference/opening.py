"""A model folder, opened for use: what the model can be asked, and the knowledge that its folder carries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kepipe.models import config, pretrained
from kepipe.models.protocols import (
    Encoder,
    EncoderConfig,
    LanguageModel,
    MaskedLanguageModel,
    ModelConfig,
    TrainableEncoder,
)

if TYPE_CHECKING:
    from kepipe.knowledge.base import Knowledge
    from kepipe.models.transformer import Transformer

Note = Callable[[str], None]
"""Is told what a user should know of a model."""


HUGGING_FACE = "hugging-face"
"""The kind of a folder whose config states no format."""


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


LoadEncoder = Callable[[Path, float, int, Note], TrainableEncoder]
"""The folder, the dropout, the seed of weights that it lacks, who is told of these → the model on the CPU."""


@dataclass(frozen=True)
class ModelKind:
    """A row: how a folder of models of this kind is read."""

    read_config: Callable[[Path], ModelConfig]
    open: Callable[[Path, str, Note], OpenedModel]
    """The folder, the device, who is told what is odd about it → the model."""
    load_encoder: LoadEncoder | None = None
    """How a model is loaded that goes on learning, as in fine-tuning; None: models of this kind do not."""


def open_transformer(folder: Path, device: str, note: Note) -> OpenedModel:
    """A transformer that kepipe trained."""
    from kepipe.models import folder as models

    return _opened(folder, models.load(folder).to(device), note)


def open_hugging_face(folder: Path, device: str, note: Note) -> OpenedModel:
    """A transformer in a folder of Hugging Face's, or of a release that is ported."""
    return _opened(folder, pretrained.from_pretrained(str(folder), note=note).eval().to(device), note)


def _opened(folder: Path, model: Transformer, note: Note) -> OpenedModel:
    """A transformer with all that it can be used as, and the knowledge that lies beside it.

    Raises ValueError where the tokenizer has tokens that the model has no vectors for.
    """
    from kepipe.knowledge.base import Sources
    from kepipe.knowledge.opening import open_own
    from kepipe.models.lm_scorer import LMScorer, prompt_style_of, writes
    from kepipe.models.mask_filler import MaskFiller, fills_masks
    from kepipe.tokenization.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(folder)
    if tokenizer.vocab_size > model.config.vocabulary:
        raise ValueError(
            f"{folder}: the tokenizer has ids up to {tokenizer.vocab_size - 1:,}, the model vectors for "
            f"{model.config.vocabulary:,} tokens: they do not belong together"
        )
    return OpenedModel(
        folder,
        language_model=LMScorer(model, tokenizer, prompt_style_of(model.config, folder))
        if writes(model)
        else None,
        masked_language_model=MaskFiller(model, tokenizer) if fills_masks(model) else None,
        encoder=model,
        knowledge=open_own(folder, Sources(tokenizer, model.config), note),
    )


def _load_transformer(folder: Path, dropout: float, seed: int, note: Note) -> TrainableEncoder:
    return pretrained.from_pretrained(str(folder), seed=seed, dropout=dropout, note=note)


def _read_hugging_face(folder: Path) -> ModelConfig:
    """The config of another library's folder; where it says too little, the weights are read too."""
    return pretrained.read_config(str(folder)) or pretrained.from_pretrained(str(folder)).config


KINDS: Mapping[str, ModelKind] = {
    "kepipe-transformer": ModelKind(config.read_config, open_transformer, _load_transformer),
    HUGGING_FACE: ModelKind(_read_hugging_face, open_hugging_face, _load_transformer),
}
"""The table of kinds of models: the format of a `config.json`, without its version → what reads it. A new kind is a
file and a row."""


def read_config(folder: Path) -> ModelConfig:
    """What the model of a folder is made of. Raises ValueError where the folder holds none."""
    return _kind(folder).read_config(folder)


def read_encoder_config(folder: Path) -> EncoderConfig:
    """The config of a folder's encoder. Raises ValueError for a model that can be none for tasks and knowledge."""
    found = read_config(folder)
    if not isinstance(found, EncoderConfig):
        raise ValueError(f"{folder}: this model is no encoder on which a task or knowledge could be put")
    return found


def load_encoder(
    folder: Path, *, dropout: float = 0.0, seed: int = 0, note: Note = lambda _: None
) -> TrainableEncoder:
    """The encoder of a folder, to be trained on. Raises ValueError where it is none that learns."""
    load = _kind(folder).load_encoder
    if load is None:
        raise ValueError(f"{folder}: this model is no encoder that could be fine-tuned")
    return load(folder, dropout, seed, note)


def open_model(folder: Path, device: str = "cpu", note: Note = lambda _: None) -> OpenedModel:
    """The model of a folder on a device, in evaluation mode. Raises ValueError where the folder holds none."""
    return _kind(folder).open(folder, device, note)


def _kind(folder: Path) -> ModelKind:
    name = config.read_format(folder).partition("/")[0] or HUGGING_FACE
    if name not in KINDS:
        raise ValueError(f"{folder / config.CONFIG}: not the config of a kepipe model folder")
    return KINDS[name]
