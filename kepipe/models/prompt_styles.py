"""The table of prompt styles: how a model is asked to go on with a text (`kepipe.models.lm_scorer` does it)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal


@dataclass(frozen=True)
class StyleRow:
    """A row: whose style it is, and whether a decoder alone can write in it. The others need an encoder."""

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
    """The styles and whose they are, for help."""
    return ", ".join(f"{name} ({row.about})" for name, row in PROMPT_STYLES.items())


if TYPE_CHECKING:
    PromptStyle = str
else:
    PromptStyle = Literal[tuple(PROMPT_STYLES)]
    """The name of a style, as the type of an option."""
