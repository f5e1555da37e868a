"""The text of a shard as words for training static vectors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kepipe.arrays import Ints

if TYPE_CHECKING:
    from kepipe.data.shards import Shard
    from kepipe.tokenization.tokenizer import Tokenizer

STRETCH = 1 << 20
"""Approximate number of tokens, in whole documents, that are read at a time."""
LONGEST = 1000
"""Maximum words of a line; longer documents are split, as in word2vec."""


@dataclass(frozen=True)
class Words:
    """The W words that get vectors, most frequent first: `tokens`, int [W], their tokens; `counts`, int [W], their
    frequencies; `of_token`, int [V], the word of each token, −1 for none; `names`, their strings."""

    tokens: Ints
    counts: Ints
    of_token: Ints
    names: list[str]

    def __len__(self) -> int:
        return len(self.tokens)


def words_of(shard: Shard, tokenizer: Tokenizer, min_count: int) -> Words:
    """The text tokens with a count of at least `min_count`. Raises ValueError if there are none.

    The unknown token gets no vector, as it represents many words.
    """
    counts_V = shard.counts(tokenizer.vocab_size)
    counts_V[tokenizer.special] = 0
    order = np.argsort(-counts_V, kind="stable")
    tokens = order[counts_V[order] >= min_count]
    if not len(tokens):
        raise ValueError(f"no word occurs {min_count} times in the text: set a smaller `min_count`")
    of_token = np.full(tokenizer.vocab_size, -1, np.int64)
    of_token[tokens] = np.arange(len(tokens))
    names = [str(tokenizer.backend.id_to_token(token)) for token in tokens.tolist()]
    return Words(tokens, counts_V[tokens], of_token, names)


def documents(shard: Shard, words: Words) -> Iterator[tuple[Ints, Ints]]:
    """Blocks of whole documents: their words, int [N], and the document of each within the block, int [N]. Words
    without a vector are removed before distances are counted, as in word2vec and GloVe."""
    starts = shard.documents
    first = 0
    while first < len(starts) - 1:
        last = max(first + 1, int(np.searchsorted(starts, starts[first] + STRETCH, side="right")) - 1)
        words_N = words.of_token[np.asarray(shard.tokens[starts[first] : starts[last]], np.int64)]
        documents_N = np.repeat(np.arange(last - first), np.diff(starts[first : last + 1]))
        kept = words_N >= 0
        yield words_N[kept], documents_N[kept]
        first = last


def write_lines(shard: Shard, words: Words, names: list[str], file: Path) -> int:
    """Write a file with one line per document, or per `LONGEST` words of it. Returns the number of lines."""
    lines = 0
    with file.open("w", encoding="utf-8") as stream:
        for words_N, documents_N in documents(shard, words):
            first = np.flatnonzero(np.diff(documents_N, prepend=-1))
            for text in np.split(words_N, first[1:]):
                for start in range(0, len(text), LONGEST):
                    stream.write(" ".join([names[word] for word in text[start : start + LONGEST].tolist()]))
                    stream.write("\n")
                    lines += 1
    return lines
