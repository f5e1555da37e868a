"""Settings of text generation."""

from __future__ import annotations

from pydantic import Field

from kepipe.config import Section


class GenerationSettings(Section):
    """The same as in Hugging Face's `generate`, except that `no_repeat_ngram_size` considers the answer alone, so that
    a decoder may repeat the words of its input."""

    max_new_tokens: int = Field(64, ge=2)
    """The most tokens of an answer, including the end token; longer gold answers are truncated."""
    num_beams: int = Field(4, ge=1)
    """The number of beams; 1: greedy decoding."""
    length_penalty: float = 1.0
    """The summed log-likelihood is divided by length to this power: larger numbers favour longer answers."""
    no_repeat_ngram_size: int = Field(0, ge=0)
    """No n-gram of this size occurs twice in an answer; 0: no limit."""
