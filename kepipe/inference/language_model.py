"""A language model by name, opened to be asked in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kepipe.inference.opening import open_model, read_config
from kepipe.knowledge.opening import read_settings
from kepipe.knowledge.table import name_of
from kepipe.models.config import TransformerConfig
from kepipe.models.pretrained import locate
from kepipe.models.prompt_styles import PROMPT_STYLES, PromptStyle

if TYPE_CHECKING:
    from kepipe.models.protocols import LanguageModel, ModelConfig


def open_language_model(
    name: str, prompt_style: PromptStyle | None = None, note: Callable[[str], None] = lambda _: None
) -> LanguageModel:
    """The language model that `name` names: a model folder, a folder of Hugging Face's, a hub id.

    `prompt_style`: another than it was trained in. Before weights are read, raises ValueError for a model that fills
    masks, and for a style in which it cannot write.
    """
    from kepipe.models.lm_scorer import LMScorer

    place = locate(name)
    config = read_config(place)
    if "language-model" not in config.capabilities:
        raise ValueError(f"{name} fills masks and does not generate; models of gpt2, bart and t5 do")
    if prompt_style is not None:
        _check(name, place, config, prompt_style)
    for settings in read_settings(place):
        note(f"{name}: its {name_of(settings)} is not used: what a model writes follows from the text alone")
    opened = open_model(place, note=note).language_model
    assert opened is not None, "its config says that it is one"
    if prompt_style is not None and isinstance(opened, LMScorer):
        return replace(opened, prompt_style=prompt_style)
    return opened


def _check(name: str, place: Path, config: ModelConfig, prompt_style: PromptStyle) -> None:
    """Raises ValueError for a style in which a model cannot write."""
    from kepipe.models.lm_scorer import prompt_style_of

    if not isinstance(config, TransformerConfig):
        raise ValueError(
            f"--prompt-style {prompt_style}: {name} is no transformer and has no styles of prompts"
        )
    own = prompt_style_of(config, place)
    if PROMPT_STYLES[prompt_style].decoder_alone != PROMPT_STYLES[own].decoder_alone:
        has = "a decoder alone" if config.stacks == "decoder" else "an encoder too"
        raise ValueError(
            f"--prompt-style {prompt_style}: {name} has {has}; it goes on by `--prompt-style {own}`"
        )
