"""The words of an n-gram model: `<unk>`, `<s>`, `</s>`, and a tokenizer's text tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kepipe.arrays import Bools, Ints
from kepipe.models.ngram.counting import BOS, EOS, UNK
from kg.columns import Strings, save_strings

if TYPE_CHECKING:
    from kepipe.tokenization.tokenizer import Tokenizer

SPECIAL = ("<unk>", "<s>", "</s>")
"""The words UNK, BOS and EOS, as in ARPA files."""
FILE = "words"


@dataclass(frozen=True)
class Vocabulary:
    """`words`: W strings, SPECIAL first. `of_token`: the word of each of a tokenizer's tokens, int [V], UNK for missing
    ones. `tokens`: the token of each word, int [W], −1 for none."""

    words: Sequence[str]
    of_token: Ints
    tokens: Ints

    def __len__(self) -> int:
        return len(self.words)


def words_of(tokenizer: Tokenizer) -> list[str]:
    """The words of a model with a tokenizer's tokens. Raises ValueError if one has the name of a special word."""
    found = [str(tokenizer.backend.id_to_token(token)) for token in tokenizer.ordinary.tolist()]
    for word in SPECIAL:
        if word in found:
            raise ValueError(f"the tokenizer has {word} among its tokens of text: mark it as a special token")
    return [*SPECIAL, *found]


def match(words: Sequence[str], tokenizer: Tokenizer) -> Vocabulary:
    """Match the words of a model with a tokenizer's tokens by name."""
    of_token = np.full(tokenizer.vocab_size, UNK, np.int64)
    tokens = np.full(len(words), -1, np.int64)
    for word, name in enumerate(words):
        token = tokenizer.id(name) if word > EOS else None
        if token is not None:
            of_token[token], tokens[word] = word, token
    for word, role in ((UNK, "unk"), (EOS, "sep")):
        if role in tokenizer.named:
            tokens[word] = tokenizer.role(role)
    return Vocabulary(words, of_token, tokens)


def save_words(folder: Path, words: Sequence[str]) -> None:
    """Write the words next to the model's tables."""
    save_strings(folder, FILE, words)


def load_words(folder: Path) -> list[str]:
    """The words of a model's folder. Raises ValueError if they are missing, damaged, or not those of a model."""
    words = list(Strings.load(folder, FILE))
    if tuple(words[:3]) != SPECIAL:
        raise ValueError(f"{folder}: expected words that begin with {', '.join(SPECIAL)}")
    return words


def begun(tokens: Ints, vocabulary: Vocabulary) -> Ints:
    """A text's tokens as words after `<s>`."""
    return np.concatenate([[BOS], vocabulary.of_token[tokens]])


def is_unknown(words_T: Ints) -> Bools:
    """Which words of a text are unknown to the model, bool [T]."""
    found: Bools = words_T == UNK
    return found
