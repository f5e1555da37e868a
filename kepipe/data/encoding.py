"""Parsed documents → tokens, chunk by chunk: in this process, or in worker processes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from kepipe.data.alignment import Columns, tokenise_columns
from kepipe.data.document_stream import Chunk
from kepipe.data.parsed_chunks import ParsedChunk, ParsedChunks
from kepipe.data.workers import map_chunks
from kepipe.tokenization.tokenizer import Tokenizer, load_tokenizer

PARALLELISM = "TOKENIZERS_PARALLELISM"
"""Variable by which tokenizers use several threads or one."""


class EncodedSplit(NamedTuple):
    """The tokens of a split's documents, with their ids and titles."""

    columns: Columns
    ids: Sequence[str]
    titles: Sequence[str]


@dataclass(frozen=True)
class EncodedChunk:
    """A chunk's tokens, by split; splits without a document are left out.

    `entities`: the chunk's entities in order of first occurrence; `Columns.entities` has indices into them. `offset`,
    `line`: the position after the chunk, as in `ParsedChunk`.
    """

    splits: Mapping[str, EncodedSplit]
    entities: Sequence[str]
    offset: int
    line: int


@dataclass(frozen=True)
class Encoding:
    """Tokenises `chunks` with the tokenizer of a folder. `workers`: as in `Workers`; 1: this process, in whose threads
    the tokenizer works. Other processes read the chunks from the cache of `chunks`."""

    chunks: ParsedChunks
    tokenizer: Path
    workers: int | str = 1

    def read(self, offset: int = 0, line: int = 0) -> Iterator[EncodedChunk]:
        """The chunks from a position at which one begins, in order; the same with and without workers.

        Raises ValueError for an invalid line, ConfigError if there is no cluster.
        """
        if self.workers == 1:
            tokenizer = load_tokenizer(self.tokenizer)
            for chunk in self.chunks.read(offset, line):
                yield encode(chunk, tokenizer)
            return
        places = self.chunks.places(offset, line)
        for _, encoded in map_chunks(self.workers, places, _encode_in_worker, self.chunks, self.tokenizer):
            yield encoded


def encode(chunk: ParsedChunk, tokenizer: Tokenizer) -> EncodedChunk:
    """The tokens of a chunk."""
    entities: dict[str, int] = {}
    splits = {
        split: EncodedSplit(
            tokenise_columns(documents, tokenizer, lambda entity: entities.setdefault(entity, len(entities))),
            list(documents.ids),
            list(documents.titles),
        )
        for split, documents in chunk.splits.items()
        if len(documents)
    }
    return EncodedChunk(splits, list(entities), chunk.offset, chunk.line)


def _encode_in_worker(chunks: ParsedChunks, tokenizer: Path, chunk: Chunk) -> EncodedChunk:
    with _one_thread():
        return encode(chunks.open(chunk), _tokenizer(tokenizer))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Have tokenizers work in one thread during the block, as all work of worker processes does."""
    before = os.environ.get(PARALLELISM)
    os.environ[PARALLELISM] = "false"
    try:
        yield
    finally:
        if before is None:
            del os.environ[PARALLELISM]
        else:
            os.environ[PARALLELISM] = before


@lru_cache(maxsize=1)
def _tokenizer(folder: Path) -> Tokenizer:
    return load_tokenizer(folder)
