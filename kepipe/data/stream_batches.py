"""Clean batches of continuous streams (`kepipe.data.stream_sampler`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from kepipe.arrays import Bools, Ints
from kepipe.data.batch import ExampleRefs, TokenRows
from kepipe.data.examples import Examples
from kepipe.data.row_batches import RowBatches, RowShape, gather
from kepipe.data.shards import Shard
from kepipe.data.stream_sampler import StreamSampler


@dataclass(frozen=True)
class StreamBatches:
    """Batch n of the rows of a shard, in streams: a function of (shard, format, seed, n)."""

    rows: RowBatches
    sampler: StreamSampler

    @property
    def shard(self) -> Shard:
        """The shard of the rows."""
        return self.rows.shard

    @property
    def examples(self) -> Examples:
        """The examples of the rows."""
        return self.rows.examples

    @property
    def shape(self) -> RowShape:
        """See `RowStream`."""
        return self.rows.shape

    @property
    def entity_ids(self) -> Sequence[str]:
        """The ids of the entities, by index."""
        return self.rows.entity_ids

    @property
    def per_epoch(self) -> int:
        """See `RowStream`; an epoch sees every example in each direction."""
        return self.sampler.per_epoch

    def __getitem__(self, n: int) -> TokenRows:
        """See `RowStream`."""
        found = self.sampler.rows(n)
        refs = ExampleRefs(found.examples, self.sampler.epoch(n), self.sampler.seed)
        rows = gather(self.shard, self.examples, found.examples, self.rows.special_tokens)
        return replace(
            turned(rows, found.from_right),
            refs=refs,
            entity_ids=self.entity_ids,
            continues=found.continues,
            stream=self.sampler.part(n),
        )


def as_streams(rows: RowBatches, *, parts: int, both_directions: bool = False) -> StreamBatches:
    """The same rows, in streams. `parts`: batches of an update (see `StreamSampler`).

    Raises ValueError if there are too few rows.
    """
    shape = rows.shape
    sampler = StreamSampler(
        continues_document(rows.examples, rows.shard),
        shape.tokens // shape.length,
        shape.seed,
        parts=parts,
        both_directions=both_directions,
    )
    return StreamBatches(rows, sampler)


def continues_document(examples: Examples, shard: Shard) -> Bools:
    """Which examples begin within a document, and so continue the previous example: bool [N]."""
    first_N = examples.first[:-1]
    starts_N = examples.starts[first_N]
    places_N = np.searchsorted(shard.documents, starts_N)
    # a row may begin with the final special token of a document, whose place is the start of the next document
    has_text_N = examples.opens[first_N] | (examples.stops[first_N] > starts_N)
    found: Bools = (shard.documents[places_N] != starts_N) | ~has_text_N
    return found


def reversed_positions(documents_BT: Ints, from_right_B: Bools) -> Ints:
    """The index of each token in its row after the rows `from_right_B` are reversed, int [B, T]; padding (document 0)
    stays at the right. It is its own inverse."""
    there_BT = documents_BT > 0
    place_BT = np.broadcast_to(np.arange(documents_BT.shape[1]), documents_BT.shape)
    return np.where(from_right_B[:, None] & there_BT, there_BT.sum(1, keepdims=True) - 1 - place_BT, place_BT)


def turned(rows: TokenRows, from_right: Bools) -> TokenRows:
    """The rows with those `from_right`, bool [B], reversed; padding stays at the right."""
    place_BT = reversed_positions(rows.documents, from_right)

    def turn(of_BT: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.take_along_axis(of_BT, place_BT, 1)

    return replace(
        rows,
        tokens=turn(rows.tokens),
        segments=turn(rows.segments),
        documents=turn(rows.documents),
        special=turn(rows.special),
        units={level: turn(of_BT) for level, of_BT in rows.units.items()},
        entities=turn(rows.entities),
        sentences=turn(rows.sentences),
        from_right=from_right,
    )
