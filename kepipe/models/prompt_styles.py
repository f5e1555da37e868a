"""The table of prompt styles: how a language model is prompted to continue a text (see `kepipe.models.lm_scorer`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal


@dataclass(frozen=True)
class StyleRow:
    """A row. `about`: models that use the style; `decoder_alone`: whether it works without an encoder."""

    about: str
    decoder_alone: bool = False


PROMPT_STYLES: Mapping[str, StyleRow] = {
    "append": StyleRow("GPT", decoder_alone=True),
    "prefix": StyleRow("prefix LM", decoder_alone=True),
    "infill": StyleRow("BART"),
    "sentinel": StyleRow("T5"),
    "fragment": StyleRow("MASS"),
    "answer": StyleRow("a model fine-tuned from source to target"),
}


def described() -> str:
    """The styles and the models that use them, for help."""
    return ", ".join(f"{name} ({row.about})" for name, row in PROMPT_STYLES.items())


if TYPE_CHECKING:
    PromptStyle = str
else:
    PromptStyle = Literal[tuple(PROMPT_STYLES)]
    """The name of a style, as the type of an option."""
