"""How answers that a model writes are searched for."""

from __future__ import annotations

from pydantic import Field

from kepipe.config import Section


class GenerationSettings(Section):
    """As in Hugging Face's `generate`, where these are the same but for one thing: `no_repeat_ngram_size` looks at the
    answer alone, of a decoder too, which may use the words of its text."""

    max_new_tokens: int = Field(64, ge=2)
    """Tokens of the longest answer, its end included; a longer true one is cut."""
    num_beams: int = Field(4, ge=1)
    """Hypotheses of the beam search; 1: the likeliest token at each step."""
    length_penalty: float = 1.0
    """The summed log-likelihood is divided by length to this power: larger numbers favour longer answers."""
    no_repeat_ngram_size: int = Field(0, ge=0)
    """No answer has a run of so many tokens twice; 0: it may."""
