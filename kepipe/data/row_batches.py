"""Clean batches: the examples of batch n gathered from the memory-mapped stream into padded rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from kepipe.arrays import Ints, ranges
from kepipe.data.alignment import LEVELS, SENTENCE
from kepipe.data.batch import ExampleRefs, TokenRows
from kepipe.data.batch_sampler import BatchSampler
from kepipe.data.examples import Examples
from kepipe.data.formats import FormatName, plan
from kepipe.data.shards import Shard
from kepipe.tokenization.tokenizer import Tokenizer


@dataclass(frozen=True)
class SpecialTokens:
    """The ids of the special tokens around text."""

    pad: int
    cls: int
    sep: int


@dataclass(frozen=True)
class RowShape:
    """The shape of rows: `length`, maximum in tokens; `tokens`, the batch size in tokens; `begin`, whether rows begin
    with [CLS]; `seed`, of their order."""

    length: int
    tokens: int
    begin: bool
    seed: int


class RowStream(Protocol):
    """Batches of clean rows, n = 0, 1, … without end: a deterministic, thread-safe function of n."""

    @property
    def shape(self) -> RowShape:
        """Length, batch size and seed."""
        ...

    @property
    def per_epoch(self) -> float:
        """Batches of an epoch, which contains every example once."""
        ...

    def __getitem__(self, n: int, /) -> TokenRows:
        """Batch n."""
        ...


@dataclass(frozen=True)
class RowBatches:
    """Batch n of a shard in a format, for n = 0, 1, … without end: a function of (shard, format, seed, n).

    `entity_ids`: the ids of the shard's entities, for `TokenRows.entity_ids`.
    """

    shard: Shard
    examples: Examples
    sampler: BatchSampler
    special_tokens: SpecialTokens
    shape: RowShape
    entity_ids: Sequence[str] = ()

    @property
    def per_epoch(self) -> int:
        """See `RowStream`."""
        return self.sampler.per_epoch

    def __getitem__(self, n: int) -> TokenRows:
        """See `RowStream`."""
        rows_B = self.sampler.rows(n)
        refs = ExampleRefs(rows_B, self.sampler.epoch(n), self.sampler.seed)
        rows = gather(self.shard, self.examples, rows_B, self.special_tokens)
        return replace(rows, refs=refs, entity_ids=self.entity_ids)


def open_batches(
    shard: Shard,
    tokenizer: Tokenizer,
    *,
    format: FormatName,
    length: int,
    tokens: int = 8192,
    seed: int = 0,
    begin: bool = True,
    document_mask: bool = False,
) -> RowBatches:
    """Batches of about `tokens` tokens in rows of at most `length`; see `kepipe.data.formats.plan`."""
    examples = plan(shard, format, length, seed=seed, begin=begin, document_mask=document_mask)
    special_tokens = SpecialTokens(tokenizer.pad, tokenizer.cls if begin else tokenizer.sep, tokenizer.sep)
    shape = RowShape(length, tokens, begin, seed)
    return RowBatches(shard, examples, BatchSampler(examples.lengths, tokens, seed), special_tokens, shape)


def gather(shard: Shard, examples: Examples, rows_B: Ints, special_tokens: SpecialTokens) -> TokenRows:
    """The given examples as rows, right-padded to the longest."""
    counts = examples.first[rows_B + 1] - examples.first[rows_B]
    piece = ranges(examples.first[rows_B], counts)
    row = np.repeat(np.arange(len(rows_B)), counts)
    starts, sizes = examples.starts[piece], examples.stops[piece] - examples.starts[piece]
    opens, closes = examples.opens[piece], examples.closes[piece]
    width = sizes + opens + closes
    T = int(examples.lengths[rows_B].max())

    before = np.cumsum(width) - width
    column = before - np.repeat(before[np.cumsum(counts) - counts], counts)
    at = row * T + column  # where each piece starts in the flat [B, T]
    source, place = ranges(starts, sizes), ranges(at + opens, sizes)

    shape = (len(rows_B), T)
    tokens = np.full(shape, special_tokens.pad, dtype=np.int64)
    tokens.ravel()[place] = shard.tokens[source]
    tokens.ravel()[at[opens]] = special_tokens.cls
    tokens.ravel()[(at + width - 1)[closes]] = special_tokens.sep
    special = np.ones(shape, dtype=np.bool_)
    special.ravel()[place] = False
    segments, documents = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    columns = ranges(at, width)
    segments.ravel()[columns] = np.repeat(examples.segment[piece], width)
    documents.ravel()[columns] = np.repeat(examples.document[piece], width)
    entities = np.full(shape, -1, dtype=np.int64)
    entities.ravel()[place] = shard.entities[source]

    bounds = shard.bounds[source]
    heads = (np.cumsum(sizes) - sizes)[sizes > 0]
    bounds[heads] |= SENTENCE | sum(LEVELS.values())  # a piece that begins inside a unit begins a new one
    text = np.bincount(row, weights=sizes, minlength=len(rows_B)).astype(np.int64)
    return TokenRows(
        tokens=tokens,
        segments=segments,
        documents=documents,
        special=special,
        units={level: _number(bounds, bit, text, place, shape) for level, bit in LEVELS.items()},
        entities=entities,
        sentences=_number(bounds, SENTENCE, text, place, shape),
        next_sentence_labels=None
        if examples.next_sentence_labels is None
        else examples.next_sentence_labels[rows_B],
    )


def _number(
    bounds: npt.NDArray[np.uint8], bit: int, text_B: Ints, place: Ints, shape: tuple[int, int]
) -> Ints:
    """Each text token's unit, counted from 0 in its row; −1 elsewhere. `text_B`: text tokens of each row."""
    count = np.cumsum((bounds & bit) > 0)
    firsts = np.cumsum(text_B) - text_B
    filled = text_B > 0
    offset = np.zeros(len(text_B), dtype=np.int64)
    offset[filled] = count[firsts[filled]]
    numbered = np.full(shape, -1, dtype=np.int64)
    numbered.ravel()[place] = count - np.repeat(offset, text_B)
    return numbered
