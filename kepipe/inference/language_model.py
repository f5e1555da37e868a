"""Opening a language model by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kepipe.config import ConfigConflict
from kepipe.inference.added_knowledge import OWN, AddedKnowledge, refusals
from kepipe.inference.opening import OpenedModel, open_model, read_config
from kepipe.knowledge.opening import check_sources
from kepipe.models.any_base import families_that_write
from kepipe.models.config import TransformerConfig
from kepipe.models.pretrained import locate
from kepipe.models.prompt_styles import PROMPT_STYLES, PromptStyle

if TYPE_CHECKING:
    from kepipe.models.protocols import ModelConfig


def open_language_model(
    name: str,
    prompt_style: PromptStyle | None = None,
    note: Callable[[str], None] = lambda _: None,
    added: AddedKnowledge | None = OWN,
    device: str = "cpu",
) -> OpenedModel:
    """Open a model whose `language_model` is set: `name` is a model folder, a Hugging Face folder, or a hub id.

    `prompt_style`: replaces the style of its training. `added`: see `open_model`. Raises ValueError, before weights are
    read, for a masked language model, for a style that the model does not support, and for knowledge that cannot be
    used with prompts.
    """
    from kepipe.models.lm_scorer import LMScorer

    place = locate(name)
    config = read_config(place)
    if "language-model" not in config.capabilities:
        fills = "fills masks and " if "masked-lm" in config.capabilities else ""
        raise ValueError(f"{name} {fills}does not generate; models of {families_that_write()} do")
    if prompt_style is not None:
        _check(name, place, config, prompt_style)
    if added is not None:
        for refusal in refusals(added.methods, config, name):
            raise refusal
        check_sources(place, added.methods, **added.folders)
    try:
        opened = open_model(place, device, note, added)
    except ConfigConflict as conflict:
        if added is None or added.methods:
            raise
        raise ValueError(f"{conflict}; `--knowledge none` uses the model without knowledge") from None
    model = opened.language_model
    assert model is not None, "the config has the capability"
    if prompt_style is not None and isinstance(model, LMScorer):
        return replace(opened, language_model=replace(model, prompt_style=prompt_style))
    return opened


def _check(name: str, place: Path, config: ModelConfig, prompt_style: PromptStyle) -> None:
    """Raises ValueError for a prompt style that the model does not support."""
    from kepipe.models.lm_scorer import prompt_style_of

    if not isinstance(config, TransformerConfig):
        raise ValueError(
            f"--prompt-style {prompt_style}: {name} does not support prompt styles: leave it out"
        )
    own = prompt_style_of(config, place)
    if PROMPT_STYLES[prompt_style].decoder_alone != PROMPT_STYLES[own].decoder_alone:
        has = "a decoder alone" if config.stacks == "decoder" else "an encoder as well"
        raise ValueError(
            f"--prompt-style {prompt_style}: {name} has {has}; it supports `--prompt-style {own}`"
        )
