"""The tokenizer in a model's folder, which has to be that of the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from kepipe.tokenization.tokenizer import Tokenizer, load_tokenizer


class HasVocabulary(Protocol):
    """A config of a model with a vector for each of its tokens."""

    @property
    def vocabulary(self) -> int:
        """Rows of the token embeddings."""
        ...


def load_own_tokenizer(folder: Path, config: HasVocabulary) -> Tokenizer:
    """The tokenizer of the model with this config. Raises ValueError, with the folder's name, if the tokenizer has
    tokens for which the model has no vectors."""
    tokenizer = load_tokenizer(folder)
    if tokenizer.vocab_size > config.vocabulary:
        raise ValueError(
            f"{folder}: the tokenizer has ids up to {tokenizer.vocab_size - 1:,}, the model vectors for "
            f"{config.vocabulary:,} tokens: they do not match"
        )
    return tokenizer
