"""The data structures between corpus and model: clean `TokenRows` (NumPy), then a corrupted `Batch` (torch)."""

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
    """The example indices of a batch's rows, int [B]; the epoch; the seed of the order."""

    examples: Ints
    times: int
    seed: int


NamedTokens = tuple[int, int, str]
"""A mention in a row: first token, stop (exclusive), entity id."""


@dataclass(frozen=True)
class MentionSpans:
    """M mentions in a batch of rows, sorted by row, then position, without overlap.

    `rows`: int [M], the row of the batch. `first`, `stop`: int [M], the mention's tokens first … stop − 1.
    """

    rows: Ints
    first: Ints
    stop: Ints

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Mentions(MentionSpans):
    """Mentions with their entities: `entities`, int [M], indices into `ids`; −1: none.

    `ids` should be the same object for all batches of a shard, since look-ups are cached by its identity.
    """

    entities: ShardEntities
    ids: Sequence[str]

    @classmethod
    def in_rows(cls, rows: Sequence[Sequence[NamedTokens]]) -> Self:
        """Mentions from the lists of each row; `ids` are those that occur."""
        named = [(number, *mention) for number, mentions in enumerate(rows) for mention in mentions]
        numbers = {id: number for number, id in enumerate(dict.fromkeys(mention[3] for mention in named))}
        places = np.array([mention[:3] for mention in named], np.int64).reshape(-1, 3)
        entities = np.fromiter((numbers[mention[3]] for mention in named), np.int64, len(named))
        row_M, first_M, stop_M = places.T
        return cls(row_M, first_M, stop_M, ShardEntities(entities), list(numbers))


@dataclass(frozen=True)
class TokenRows:
    """A batch of clean rows with special tokens, right-padded.

    `tokens`, `segments`, `documents`: int [B, T]; `documents` is 0 on padding and counts the documents of a
    packed row from 1. `special`: bool [B, T], special tokens and padding. `units`: level ("word", "phrase",
    "entity") → int [B, T], the row's unit number of each token, −1 where special. `entities`: int [B, T], the
    entity of each token of a mention, −1 elsewhere. `sentences`: int [B, T], the row's sentence number of each
    token, −1 where special. `next_sentence_labels`: int [B] or None, 1 where the second segment truly follows the
    first. `refs`: the examples of the rows; None for rows that are not from a shard. `entity_ids`: the ids of the
    entities by their indices in `entities`. `salient`: bool [B, T], the tokens to predict, one span per row; None: the
    objective draws them. For batches of streams: `continues`, bool [B], whether each row continues the same row of the
    previous batch of the same `stream`; `from_right`, bool [B], whether it is read right to left. For an objective's
    own rows: `row_labels`, int [B], the label of each row; `token_labels`, int [B, T], of each token, −1 for none.
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
        """The mentions of entities. A mention that is split at a row's end counts in both rows."""
        named, begins = self.entities >= 0, self.mention_begins()
        ends = named.copy()
        ends[:, :-1] &= ~(named & ~begins)[:, 1:]
        rows, first = np.nonzero(begins)
        stop = np.nonzero(ends)[1] + 1
        entities = ShardEntities(self.entities[rows, first])
        rows, first, stop = (column.astype(np.int64) for column in (rows, first, stop))
        return Mentions(rows, first, stop, entities, self.entity_ids)

    def mention_begins(self) -> Bools:
        """Whether a mention begins at each token, bool [B, T]. A mention that is split at a row's end begins in both
        rows."""
        units, begins = self.units["entity"], self.entities >= 0
        same = (units[:, 1:] == units[:, :-1]) & (self.entities[:, 1:] == self.entities[:, :-1])
        begins[:, 1:] &= ~same
        return begins


@dataclass(frozen=True)
class Batch:
    """The input of a model and its loss. Absent fields are None.

    Encoder side: `tokens`, `segments`, `positions`, int [B, T]. Descriptors of visibility, int [B, T]:
    `documents` (0: padding), `prefix` (1: source, which all tokens of its document attend to), `branch`, `mention`.
    `visibility` names the attention mask built from the descriptors ("full", "causal", "backward", "prefix", …).
    `label_positions`: int [N], flat indices into B·T (of the decoder's tokens where there is a decoder) at which the
    loss is computed; `labels`: int [N]. Decoder side: `decoder_tokens`, `decoder_positions`,
    `decoder_documents`. `next_sentence_labels`: int [B], label of next-sentence prediction.
    For models that fuse entities with tokens: `entities`, int [B, T], row in `entity_vectors` of the entity whose
    mention *starts* at this token, 0 elsewhere; `entity_vectors`, float [M, E], row 0 all zeros; `entity_rows`, int
    [M], their rows in the whole table (−1 for row 0), for a model that trains its own table. `moved`: if knowledge
    injection moved tokens, int [B, T before], the new position of each (−1: cut off). `extra`: fields for a single
    objective. `objective_id`: the index of the mixture's objective that made the batch. `continues`, `from_right`: bool
    [B], and `stream`, as in `TokenRows`. `state`: the state that a model carries from batch to batch, name → tensor
    with rows as the first dimension: on input that of the previous batch (zeros for rows that begin a text; empty at
    first), updated in place by the model. None: no state is carried. `origin`: for a batch on another device, the
    original on the CPU.
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
    teacher: Self | None = None
    origin: Self | None = field(default=None, repr=False, compare=False)

    @property
    def host(self) -> Self:
        """The original batch on the CPU if it was moved to a device, else itself. Use it for values that Python code
        needs, since reading them from the device would wait for all queued work."""
        return self if self.origin is None else self.origin

    def to(self, device: torch.device | str) -> Self:
        """The same batch on a device."""
        moved = self._each(lambda value: value.to(device, non_blocking=True))
        leaves = self.tokens.device.type == "cpu" and torch.device(device).type != "cpu"
        teacher = None if self.teacher is None else self.teacher.to(device)
        return replace(moved, teacher=teacher, origin=self if leaves else None)

    def pinned(self) -> Self:
        """The same batch in pinned memory, for asynchronous copies to a GPU."""
        teacher = None if self.teacher is None else self.teacher.pinned()
        return replace(self._each(Tensor.pin_memory), teacher=teacher)

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        changed: dict[str, Any] = {
            name: change(value)
            for name, value in ((f.name, getattr(self, f.name)) for f in fields(self))
            if isinstance(value, Tensor)
        }
        changed["extra"] = {name: change(value) for name, value in self.extra.items()}
        return replace(self, **changed)
