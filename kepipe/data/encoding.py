"""Parsed documents → tokens, chunk by chunk: in this process, or in worker processes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from kepipe.data.alignment import tokenise_columns
from kepipe.data.document_stream import Chunk
from kepipe.data.encoded_chunks import EncodedChunk, EncodedMemo, EncodedSplit
from kepipe.data.parsed_chunks import ParsedChunk, ParsedChunks
from kepipe.data.workers import map_chunks
from kepipe.tokenization.tokenizer import Tokenizer, load_tokenizer

PARALLELISM = "TOKENIZERS_PARALLELISM"
"""Variable by which tokenizers use several threads or one."""


@dataclass(frozen=True)
class Encoding:
    """Tokenises `chunks` with the tokenizer of a folder. `workers`: as in `Workers`; 1: this process, in whose threads
    the tokenizer works. `memo`: the chunks that earlier runs tokenised, None: there are none."""

    chunks: ParsedChunks
    tokenizer: Path
    workers: int | str = 1
    memo: EncodedMemo | None = None

    def read(self, offset: int = 0, line: int = 0) -> Iterator[EncodedChunk]:
        """The chunks from a position at which one begins, in order; the same with and without workers and `memo`.

        Raises ValueError for an invalid line, ConfigError if there is no cluster.
        """
        places = list(self.chunks.places(offset, line))
        if self.memo is None:
            yield from self._encode(places)
            return
        files = [self.memo.file(self.chunks.lines(place)) for place in places]
        is_new = [not file.exists() for file in files]
        made = self._encode([place for place, new in zip(places, is_new, strict=True) if new])
        for place, file, new in zip(places, files, is_new, strict=True):
            encoded = next(made) if new else self.memo.find(file, place)
            if encoded is None:  # damaged, or removed by another process
                (encoded,) = replace(self, workers=1)._encode([place])
            if not encoded.kept:
                self.memo.add(file, encoded)
            yield encoded

    def _encode(self, places: Sequence[Chunk]) -> Iterator[EncodedChunk]:
        """Tokenise chunks."""
        if not places:
            return
        if self.workers == 1:
            tokenizer = load_tokenizer(self.tokenizer)
            for place in places:
                yield encode(self.chunks.open(place), tokenizer)
            return
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
