"""The table of tokenizers that can be trained: a name in the YAML → its trainer. A new kind is a function and a row.

Importing the table imports no trainer, since the command line's help needs the names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from kepipe.tokenization.tokenizer import Tokenizer


@dataclass(frozen=True)
class TokenizerKind:
    """A row: a kind of tokenizer, with its description and trainer."""

    about: str
    """A description with the origin of the algorithm, for docs, schema and help."""
    train: Callable[[Iterable[str], int, bool], Tokenizer]
    """(texts, vocabulary size, whether to lower-case) → a tokenizer. Raises ValueError if there is no text or the size
    is too small."""
    model: str
    """The class of its model in `tokenizers`. Tokenizers with different classes are always different."""
    can_lowercase: bool = True
    """Whether it supports `lowercase`."""


def _wordpiece(texts: Iterable[str], size: int, lowercase: bool) -> Tokenizer:
    from kepipe.tokenization import trainers

    return trainers.wordpiece(texts, size, lowercase, whole_alphabet=False)


def _byte_level(texts: Iterable[str], size: int, _lowercase: bool) -> Tokenizer:
    from kepipe.tokenization import trainers

    return trainers.byte_level(texts, size)


def _unigram(texts: Iterable[str], size: int, lowercase: bool) -> Tokenizer:
    from kepipe.tokenization import trainers

    return trainers.unigram(texts, size, lowercase)


def _characters(texts: Iterable[str], size: int, lowercase: bool) -> Tokenizer:
    from kepipe.tokenization import trainers

    return trainers.wordpiece(texts, size, lowercase, whole_alphabet=True)


def _words(texts: Iterable[str], size: int, lowercase: bool) -> Tokenizer:
    from kepipe.tokenization import trainers

    return trainers.words(texts, size, lowercase)


def _words_or_bytes(texts: Iterable[str], size: int, lowercase: bool) -> Tokenizer:
    from kepipe.tokenization import trainers

    return trainers.words_or_bytes(texts, size, lowercase)


KINDS: Mapping[str, TokenizerKind] = {
    "wordpiece": TokenizerKind("WordPiece (BERT)", _wordpiece, "WordPiece"),
    "bpe": TokenizerKind("byte-level BPE (GPT, RoBERTa, BART)", _byte_level, "BPE", can_lowercase=False),
    "unigram": TokenizerKind("Unigram (T5)", _unigram, "Unigram"),
    "characters": TokenizerKind(
        "a token for every Chinese character, WordPiece for other scripts (Chinese BERT)",
        _characters,
        "WordPiece",
    ),
    "words": TokenizerKind("frequent whole words; others are unknown (n-gram models)", _words, "WordLevel"),
    "words-or-bytes": TokenizerKind("frequent whole words; others as bytes (ELMo)", _words_or_bytes, "BPE"),
}


def described() -> str:
    """The kinds with their descriptions, for schema and help."""
    return "; ".join(f"`{name}`: {kind.about}" for name, kind in KINDS.items())


if TYPE_CHECKING:
    KindName = str
else:
    KindName = Literal[tuple(KINDS)]
    """The name of a kind, as the type of a config's field and of an option."""
