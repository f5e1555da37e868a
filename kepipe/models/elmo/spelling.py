"""The characters of a tokenizer's tokens, which ELMo reads (Peters et al. 2018, section 3.1).

A word is its UTF-8 bytes between a beginning and an end of word; 262 characters in all, of which 0 is padding, as in
the published files. A tokenizer of words and bytes (`kepipe.tokenization.trainers.words_or_bytes`) spells unknown words
byte by byte. With any other tokenizer, a token is a word.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kepipe.arrays import Bools, Ints
from kepipe.tokenization import byte_letters
from kepipe.tokenization.tokenizer import Tokenizer

CHARACTERS = 262
BEGIN_TEXT, END_TEXT, BEGIN_WORD, END_WORD, FILL = (number + 1 for number in range(256, 261))
"""Characters in addition to the 256 bytes; ids count from 1, since 0 is padding."""
OPENS = byte_letters.written(" ")
"""The token before a spelled word."""


@dataclass(frozen=True)
class Spelling:
    """The characters of the V tokens of a tokenizer, in words of `longest` characters.

    `characters`: int [V, longest], of each token as a word. `bytes`: int [V], the byte of a token that is part of a
    spelled word; −1: it is a word. `opens`: the token before a spelled word; −1: none.
    """

    characters: Ints
    bytes: Ints
    opens: int
    unknown: int
    """The token of unknown words; −1: none."""

    @property
    def longest(self) -> int:
        """Maximum characters of a word, including its beginning and end."""
        return int(self.characters.shape[1])

    @cached_property
    def spells(self) -> Bools:
        """Which tokens are parts of spelled words, including the one before them: bool [V]."""
        found = self.bytes >= 0
        if self.opens >= 0:
            found[self.opens] = True
        return found

    def continues(self, tokens_BT: Ints) -> Bools:
        """Which tokens continue the word of the token to their left, bool [B, T]."""
        spells_BT = self.spells[tokens_BT]
        found: Bools = spells_BT & (tokens_BT != self.opens)
        found[:, 1:] &= spells_BT[:, :-1]
        found[:, :1] = False
        return found


def spelling_of(tokenizer: Tokenizer, longest: int = 50) -> Spelling:
    """The spelling of a tokenizer's tokens."""
    backend, size = tokenizer.backend, tokenizer.vocab_size
    names: dict[str, int] = backend.get_vocab(with_added_tokens=True)
    special = set(tokenizer.special.tolist())
    spelled = writes_bytes(tokenizer)
    bytes_V, opens = np.full(size, -1, np.int64), -1
    if spelled:
        for letter, byte in byte_letters.letters().items():
            bytes_V[names[letter]] = byte
        opens = names[OPENS]
        bytes_V[opens] = -1
    characters_VC = np.full((size, longest), 0, np.int64)
    for name, token in names.items():
        plain = not spelled or token in special
        word = name.encode("utf-8", "replace") if plain else byte_letters.read(name.removeprefix(OPENS))
        characters_VC[token] = spell(word, longest)
    for role, character in (("cls", BEGIN_TEXT), ("sep", END_TEXT)):
        if role in tokenizer.named:
            characters_VC[tokenizer.role(role)] = _row([character], longest)
    characters_VC[tokenizer.pad] = 0
    unknown = tokenizer.id(tokenizer.named.get("unk", ""))
    return Spelling(characters_VC, bytes_V, opens, -1 if unknown is None else unknown)


def spell(word: bytes, longest: int) -> Ints:
    """The characters of a word, int [longest]; a longer word is truncated."""
    return _row([byte + 1 for byte in word[: longest - 2]], longest)


def _row(characters: list[int], longest: int) -> Ints:
    row_C = np.full(longest, FILL, np.int64)
    row_C[: len(characters) + 2] = [BEGIN_WORD, *characters, END_WORD]
    return row_C


def knows_words_alone(tokenizer: Tokenizer) -> bool:
    """Whether the tokenizer has whole words only, and one token for all unknown words."""
    return bool(json.loads(tokenizer.backend.to_str())["model"]["type"] == "WordLevel")


def writes_bytes(tokenizer: Tokenizer) -> bool:
    """Whether the tokenizer has words and bytes (`words-or-bytes`)."""
    model = json.loads(tokenizer.backend.to_str())["model"]
    return model["type"] == "BPE" and not model["merges"] and bool(model.get("ignore_merges"))
