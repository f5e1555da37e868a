"""The table of prompt styles: how a language model is prompted to continue a text (see `kepipe.models.lm_scorer`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal


@dataclass(frozen=True)
class StyleRow:
    """A row. `about`: models that use the style; `decoder_alone`, `encoder_alone`: whether it is for a model without an
    encoder, or without a decoder."""

    about: str
    decoder_alone: bool = False
    encoder_alone: bool = False

    def fits_same(self, other: StyleRow) -> bool:
        """Whether a model that can use one of the styles can use the other."""
        return (self.decoder_alone, self.encoder_alone) == (other.decoder_alone, other.encoder_alone)


PROMPT_STYLES: Mapping[str, StyleRow] = {
    "append": StyleRow("GPT", decoder_alone=True),
    "prefix": StyleRow("prefix LM", decoder_alone=True),
    "infill": StyleRow("BART"),
    "sentinel": StyleRow("T5"),
    "fragment": StyleRow("MASS"),
    "answer": StyleRow("a model fine-tuned from source to target"),
    "mask": StyleRow("UniLM", encoder_alone=True),
}


def described() -> str:
    """The styles and the models that use them, for help."""
    return ", ".join(f"{name} ({row.about})" for name, row in PROMPT_STYLES.items())


if TYPE_CHECKING:
    PromptStyle = str
else:
    PromptStyle = Literal[tuple(PROMPT_STYLES)]
    """The name of a style, as the type of an option."""
