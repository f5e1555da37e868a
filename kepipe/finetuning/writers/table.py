"""The table of writers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kepipe.finetuning.writers import decoder, encoder_decoder, masked
from kepipe.finetuning.writers.base import Writer
from kepipe.models.config import TransformerConfig
from kepipe.models.families import FAMILIES, Stacks

if TYPE_CHECKING:
    from kepipe.models.protocols import EncoderConfig

WRITERS: Mapping[Stacks, Writer] = {
    "encoder-decoder": encoder_decoder.WRITER,
    "decoder": decoder.WRITER,
    "encoder": masked.WRITER,
}
"""Stacks of a model → how it writes."""


def writer_of(config: EncoderConfig) -> Writer:
    """The row of models of this config. Raises ValueError if they cannot write."""
    if reason := cannot_write(config):
        raise ValueError(reason)
    assert isinstance(config, TransformerConfig)
    return WRITERS[config.stacks]


def cannot_write(config: EncoderConfig) -> str:
    """The error message if a model of this config cannot generate text; "" if it can."""
    writing = ", ".join(name for name, family in FAMILIES.items() if family.stacks in WRITERS)
    if not isinstance(config, TransformerConfig) or config.stacks not in WRITERS:
        return f"this model cannot generate text; {writing} can"
    if config.fusion is not None:
        return f"a model that fuses entity vectors with the text cannot generate text; without them, {writing} can"
    return ""


def no_room(config: EncoderConfig, length: int, max_new_tokens: int) -> str:
    """The error message if the longest text and answer exceed the model's positions; "" if they fit."""
    needed = writer_of(config).positions
    longest = needed(length, max_new_tokens)
    if not 0 < config.positions < longest:
        return ""
    text = f"`length: {length}` and " if needed(0, max_new_tokens) < longest else ""
    return (
        f"{text}`max_new_tokens: {max_new_tokens}` take {longest} positions; the model has {config.positions}"
    )
