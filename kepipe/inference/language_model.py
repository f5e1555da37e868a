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
    read, for a masked language model without a style in which it generates, for a style that the model does not
    support, and for knowledge that cannot be used with prompts.
    """
    from kepipe.models.lm_scorer import LMScorer

    place = locate(name)
    config = read_config(place)
    if "language-model" not in config.capabilities:
        style = _masked_style(name, place, config, prompt_style)
        return _open_masked(name, place, style, note, added, device)
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
    if not PROMPT_STYLES[prompt_style].fits_same(PROMPT_STYLES[own]):
        has = "a decoder alone" if config.stacks == "decoder" else "an encoder as well"
        raise ValueError(
            f"--prompt-style {prompt_style}: {name} has {has}; it supports `--prompt-style {own}`"
        )


def _masked_style(
    name: str, place: Path, config: ModelConfig, prompt_style: PromptStyle | None
) -> PromptStyle:
    """The style in which a model without a decoder generates. Raises ValueError if there is none."""
    from kepipe.models.lm_scorer import prompt_style_of

    fills = "fills masks and " if "masked-lm" in config.capabilities else ""
    message = f"{name} {fills}does not generate; models of {families_that_write()} do"
    if not isinstance(config, TransformerConfig) or config.fusion is not None:
        raise ValueError(message)
    if prompt_style is None:
        try:
            return prompt_style_of(config, place)
        except ValueError:
            styles = " or ".join(
                f"--prompt-style {own}" for own, row in PROMPT_STYLES.items() if row.encoder_alone
            )
            raise ValueError(
                f"{message}, and with {styles} an encoder that was pretrained with `unilm`"
            ) from None
    if not PROMPT_STYLES[prompt_style].encoder_alone:
        raise ValueError(f"--prompt-style {prompt_style}: {name} is an encoder alone; {message}")
    return prompt_style


def _open_masked(
    name: str,
    place: Path,
    style: PromptStyle,
    note: Callable[[str], None],
    added: AddedKnowledge | None,
    device: str,
) -> OpenedModel:
    """Open an encoder that writes at masks. Raises ValueError for knowledge, which it cannot have before a prompt."""
    from kepipe.knowledge.opening import read_settings
    from kepipe.models.lm_scorer import LMScorer
    from kepipe.models.own_tokenizer import load_own_tokenizer
    from kepipe.models.transformer import Transformer

    if added is not None and (added.methods or read_settings(place, predicting=added.predicting)):
        raise ValueError(
            f"{name} is an encoder, which has no knowledge before a prompt: `--knowledge none` uses it without"
        )
    opened = open_model(place, device, note, None)
    assert isinstance(opened.encoder, Transformer)
    tokenizer = load_own_tokenizer(place, opened.encoder.config)
    return replace(opened, language_model=LMScorer(opened.encoder, tokenizer, style))
