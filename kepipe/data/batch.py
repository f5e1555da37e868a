"""What flows from corpus to model: clean `TokenRows` (numpy), then a corrupted `Batch` (torch)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from kepipe.arrays import Bools, Ints, ShardEntities


@dataclass(frozen=True)
class ExampleRefs:
    """Which examples the rows of a batch are, int [B]; how often they were seen before; the seed of their order."""

    examples: Ints
    times: int
    seed: int


NamedTokens = tuple[int, int, str]
"""Tokens first … stop − 1 of a row name an entity: first, stop, its id."""


@dataclass(frozen=True)
class MentionSpans:
    """M mentions in a batch of rows, in order of row, then place; they do not overlap.

    `rows`: int [M], the row of the batch. `first`, `stop`: int [M], the mention's tokens first … stop − 1.
    """

    rows: Ints
    first: Ints
    stop: Ints

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Mentions(MentionSpans):
    """Mentions and what they name: `entities`, int [M], the number of each one's entity among `ids`; −1: none.

    A list of ids that serves many batches, as a shard's does, should be the same object each time: what is looked up
    by it is looked up once.
    """

    entities: ShardEntities
    ids: Sequence[str]

    @classmethod
    def in_rows(cls, rows: Sequence[Sequence[NamedTokens]]) -> Self:
        """What each row names, in order, with the ids that occur."""
        named = [(number, *mention) for number, mentions in enumerate(rows) for mention in mentions]
        numbers = {id: number for number, id in enumerate(dict.fromkeys(mention[3] for mention in named))}
        places = np.array([mention[:3] for mention in named], np.int64).reshape(-1, 3)
        entities = np.fromiter((numbers[mention[3]] for mention in named), np.int64, len(named))
        row_M, first_M, stop_M = places.T
        return cls(row_M, first_M, stop_M, ShardEntities(entities), list(numbers))


@dataclass(frozen=True)
class TokenRows:
    """A batch of clean rows, special tokens in place, padded at the right.

    `tokens`, `segments`, `documents`: int [B, T]; `documents` is 0 on padding and counts the documents of a
    packed row from 1. `special`: bool [B, T], special tokens and padding. `units`: level ("word", "phrase",
    "entity") → int [B, T], the row's unit number of each token, −1 where special. `entities`: int [B, T], the
    entity of each token of a mention, −1 elsewhere. `sentences`: int [B, T], the row's sentence number of each
    token, −1 where special. `next_sentence_labels`: int [B] or None, 1 where the second segment truly follows the
    first. `refs`: where the rows come from; None for rows from elsewhere than a shard. `entity_ids`: the ids of the
    entities by their numbers in `entities`. `salient`: bool [B, T], the tokens that are asked for, as a span in each
    row; None: the objective draws them. Of batches that go on from one another: `continues`, bool [B], whether each row
    goes on from the same row of the latest batch of the same `stream`; `from_right`, bool [B], whether it is read from
    the right to the left. Of rows that an objective has of its own: `row_labels`, int [B], what is to be
    told of each row; `token_labels`, int [B, T], of each token, −1 where nothing is asked.
    """

    tokens: Ints
    segments: Ints
    documents: Ints
    special: Bools
    units: Mapping[str, Ints]
    entities: Ints
    sentences: Ints
    next_sentence_labels: Ints | None = None
    refs: ExampleRefs | None = None
    entity_ids: Sequence[str] = ()
    salient: Bools | None = None
    continues: Bools | None = None
    stream: int = 0
    from_right: Bools | None = None
    row_labels: Ints | None = None
    token_labels: Ints | None = None

    def mentions(self) -> Mentions:
        """The mentions of entities. One that a row's end cuts in two is one in both rows."""
        named, begins = self.entities >= 0, self.mention_begins()
        ends = named.copy()
        ends[:, :-1] &= ~(named & ~begins)[:, 1:]
        rows, first = np.nonzero(begins)
        stop = np.nonzero(ends)[1] + 1
        entities = ShardEntities(self.entities[rows, first])
        rows, first, stop = (column.astype(np.int64) for column in (rows, first, stop))
        return Mentions(rows, first, stop, entities, self.entity_ids)

    def mention_begins(self) -> Bools:
        """Where a mention begins, bool [B, T]: a unit of level "entity" that has one. One that a row's end cuts in two
        is one in both."""
        units, begins = self.units["entity"], self.entities >= 0
        same = (units[:, 1:] == units[:, :-1]) & (self.entities[:, 1:] == self.entities[:, :-1])
        begins[:, 1:] &= ~same
        return begins


@dataclass(frozen=True)
class Batch:
    """What a model and its loss get. Absent pieces are None.

    Encoder side: `tokens`, `segments`, `positions`, int [B, T]. Descriptors of visibility, int [B, T]:
    `documents` (0: padding), `prefix` (1: source, seen by all of its document), `branch`, `mention`.
    `visibility` names the rule by which the descriptors are read ("full", "causal", "backward", "prefix", …).
    `label_positions`: int [N], flat indices into B·T (of the decoder's tokens where there is a decoder) at which the
    loss is computed; `labels`: int [N]. Decoder side: `decoder_tokens`, `decoder_positions`,
    `decoder_documents`. `next_sentence_labels`: int [B], label of next-sentence prediction.
    For models that fuse entities with tokens: `entities`, int [B, T], row in `entity_vectors` of the entity whose
    mention *starts* at this token, 0 elsewhere; `entity_vectors`, float [M, E], row 0 all zeros; `entity_rows`, int
    [M], their rows in the whole table (−1 for row 0), by which a model that trains its own table finds them.
    `moved`: where tokens have moved since the rows were made, int [B, T before], the place where each stands now (−1:
    cut off). `extra`: anything a single objective needs. `objective_id`: which objective of a mixture made the batch.
    `continues`, `from_right`: bool [B], and `stream`, as in `TokenRows`. `state`: what a model carries from batch to
    batch, name → tensor whose first dimension is the rows': it finds what the batch before has left, zeros for rows
    that begin, or nothing at all, and puts in its place what the next batch is to find. None: nothing is carried.
    `origin`: of a batch on another device, that on the CPU.
    """

    tokens: Tensor
    documents: Tensor
    segments: Tensor | None = None
    positions: Tensor | None = None
    visibility: str = "full"
    prefix: Tensor | None = None
    branch: Tensor | None = None
    mention: Tensor | None = None
    label_positions: Tensor | None = None
    labels: Tensor | None = None
    decoder_tokens: Tensor | None = None
    decoder_positions: Tensor | None = None
    decoder_documents: Tensor | None = None
    next_sentence_labels: Tensor | None = None
    entities: Tensor | None = None
    entity_vectors: Tensor | None = None
    entity_rows: Tensor | None = None
    tasks: Tensor | None = None
    extra: Mapping[str, Tensor] = field(default_factory=dict)
    objective_id: int = 0
    moved: Tensor | None = None
    continues: Tensor | None = None
    stream: int = 0
    from_right: Tensor | None = None
    state: dict[str, Tensor] | None = None
    origin: Self | None = field(default=None, repr=False, compare=False)

    @property
    def host(self) -> Self:
        """The same batch on the CPU where it was moved from there, else itself. What is to be known of a batch before
        the device can be told what to do is looked up here: to ask the device would be to wait for all it has to do."""
        return self if self.origin is None else self.origin

    def to(self, device: torch.device | str) -> Self:
        """The same batch on a device."""
        moved = self._each(lambda value: value.to(device, non_blocking=True))
        leaves = self.tokens.device.type == "cpu" and torch.device(device).type != "cpu"
        return replace(moved, origin=self if leaves else None)

    def pinned(self) -> Self:
        """The same batch in memory from which a GPU copies by itself."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        changed: dict[str, Any] = {
            name: change(value)
            for name, value in ((f.name, getattr(self, f.name)) for f in fields(self))
            if isinstance(value, Tensor)
        }
        changed["extra"] = {name: change(value) for name, value in self.extra.items()}
        return replace(self, **changed)
