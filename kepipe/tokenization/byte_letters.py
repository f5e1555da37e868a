"""The characters that byte-level tokenizers use for bytes (Radford et al. 2019, section 2.2)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

PRINTABLE = (*range(33, 127), *range(161, 173), *range(174, 256))
"""Bytes that are represented by their own Latin-1 character; the others get characters from U+0100 on, in order."""


@cache
def letters() -> Mapping[str, int]:
    """Character → byte, for all 256 bytes."""
    others = [byte for byte in range(256) if byte not in PRINTABLE]
    return {
        **{chr(byte): byte for byte in PRINTABLE},
        **{chr(256 + number): byte for number, byte in enumerate(others)},
    }


def written(text: str) -> str:
    """The UTF-8 bytes of a text, one character each."""
    letter_of = {byte: letter for letter, byte in letters().items()}
    return "".join(letter_of[byte] for byte in text.encode("utf-8", "replace"))


def read(token: str) -> bytes:
    """The bytes that a token stands for; its UTF-8 bytes if it has characters that represent no byte."""
    of_letter = letters()
    if all(letter in of_letter for letter in token):
        return bytes(of_letter[letter] for letter in token)
    return token.encode("utf-8", "replace")
