"""Batches of matching texts, one row each: the first texts of all pairs, then the second texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kepipe.arrays import Ints
from kepipe.data.alignment import ENTITY
from kepipe.data.batch import TokenRows
from kepipe.data.batch_sampler import BatchSampler
from kepipe.data.document import Document
from kepipe.data.document_files import held_out
from kepipe.data.examples import Examples, cut_sentences
from kepipe.data.line_readers import json_lines
from kepipe.data.row_batches import RowShape, SpecialTokens, gather
from kepipe.data.shards import Shard
from kepipe.data.token_labels import UNLABELLED
from kg.problems import Problems


@dataclass(frozen=True)
class Member:
    """One side of P pairs: example `rows[p]` of a shard, int [P]; `spans`: int [P, 2], the range of shard tokens that
    is pooled; None: the whole row."""

    shard: Shard
    examples: Examples
    rows: Ints
    spans: Ints | None = None

    def gather(self, pairs_B: Ints, special_tokens: SpecialTokens) -> TokenRows:
        """The rows of some pairs. If there are spans, `token_labels` is 0 on their tokens."""
        chosen_B = self.rows[pairs_B]
        rows = gather(self.shard, self.examples, chosen_B, special_tokens)
        if self.spans is None:
            return rows
        piece_B = self.examples.first[chosen_B]
        before_B = self.examples.starts[piece_B] - self.examples.opens[piece_B]
        first_B, stop_B = (self.spans[pairs_B] - before_B[:, None]).T
        place_T = np.arange(rows.tokens.shape[1])
        within_BT = (place_T >= first_B[:, None]) & (place_T < stop_B[:, None])
        return replace(rows, token_labels=np.where(within_BT, 0, UNLABELLED))


@dataclass(frozen=True)
class PairedBatches:
    """A `RowStream` of pairs or larger groups of G texts: `row_labels` of its rows are the member index, 0 … G − 1;
    rows of one member are contiguous, in the order of the groups."""

    members: tuple[Member, ...]
    special_tokens: SpecialTokens
    shape: RowShape
    entity_ids: Sequence[str] = ()

    @cached_property
    def _sampler(self) -> BatchSampler:
        lengths_GP = np.stack([member.examples.lengths[member.rows] for member in self.members])
        return BatchSampler(len(self.members) * lengths_GP.max(0), self.shape.tokens, self.shape.seed)

    @property
    def per_epoch(self) -> int:
        """See `RowStream`."""
        return self._sampler.per_epoch

    def __getitem__(self, n: int) -> TokenRows:
        """See `RowStream`."""
        pairs_B = self._sampler.rows(n)
        parts = [member.gather(pairs_B, self.special_tokens) for member in self.members]
        rows = _concatenate(parts, self.special_tokens.pad)
        numbers = np.repeat(np.arange(len(parts)), len(pairs_B))
        return replace(rows, row_labels=numbers, entity_ids=self.entity_ids)


def _concatenate(parts: Sequence[TokenRows], pad: int) -> TokenRows:
    """Concatenate rows, padded to the widest. If only some parts have token labels, all text of the others is
    labelled."""
    width = max(part.tokens.shape[1] for part in parts)
    labelled = any(part.token_labels is not None for part in parts)

    def joined(fill: Any, *columns: Any) -> Any:
        wide = [
            np.pad(column, ((0, 0), (0, width - column.shape[1])), constant_values=fill) for column in columns
        ]
        return np.concatenate(wide)

    def labels(part: TokenRows) -> Ints:
        return np.where(part.documents > 0, 0, UNLABELLED) if part.token_labels is None else part.token_labels

    return TokenRows(
        tokens=joined(pad, *(part.tokens for part in parts)),
        segments=joined(0, *(part.segments for part in parts)),
        documents=joined(0, *(part.documents for part in parts)),
        special=joined(True, *(part.special for part in parts)),
        units={level: joined(-1, *(part.units[level] for part in parts)) for level in parts[0].units},
        entities=joined(-1, *(part.entities for part in parts)),
        sentences=joined(-1, *(part.sentences for part in parts)),
        token_labels=joined(UNLABELLED, *map(labels, parts)) if labelled else None,
    )


def plan_sentences(shard: Shard, length: int) -> Examples:
    """One row of at most `length` tokens per sentence; longer sentences are split."""
    cuts, _ = cut_sentences(shard, length - 2)
    return plan_ranges(cuts[:-1], cuts[1:], length)


def plan_ranges(starts: Ints, stops: Ints, length: int) -> Examples:
    """One row `[CLS] … [SEP]` per range of a stream, truncated to `length` tokens."""
    ones = np.ones(len(starts), np.bool_)
    return Examples(
        first=np.arange(len(starts) + 1),
        starts=starts,
        stops=np.minimum(stops, starts + length - 2),
        opens=ones,
        closes=ones,
        segment=np.zeros(len(starts), np.int64),
        document=np.ones(len(starts), np.int64),
    )


def described_mentions(shard: Shard, described: Mapping[int, int]) -> tuple[Ints, Ints]:
    """The mentions whose entity has a description: first and stop of their tokens, int [M, 2], and the index of the
    description, int [M]. `described`: entity's row in the shard → index of its description."""
    begins = np.flatnonzero(((shard.bounds & ENTITY) > 0) & (shard.entities >= 0))
    chosen = np.array([int(shard.entities[place]) in described for place in begins], np.bool_)
    first_M = begins[chosen]
    units = np.append(np.flatnonzero((shard.bounds & ENTITY) > 0), len(shard))
    stop_M = units[np.searchsorted(units, first_M, side="right")]
    numbers_M = np.array([described[int(shard.entities[place])] for place in first_M], np.int64)
    return np.stack([first_M, stop_M], 1).astype(np.int64), numbers_M


def read_groups(file: Path, names: Sequence[str], *, evaluation: bool) -> list[list[Document]]:
    """Groups of texts, one per line of JSON: `names` are the keys, the last of which may be missing in all lines. A
    tenth of the lines, by a hash of their numbers, is for evaluation. Raises ValueError with file and line."""
    groups: list[list[Document]] = []
    width = 0
    for number, record in json_lines(file, Problems(strict=True)):
        texts = [record.get(name) for name in names] if isinstance(record, dict) else []
        texts = texts[
            : width or (len(texts) if all(isinstance(text, str) for text in texts) else len(texts) - 1)
        ]
        if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
            raise ValueError(f"{file}:{number}: expected {', '.join(names[: width or None])}, each a text")
        width = len(texts)
        id = f"{file.stem}:{number}"
        if held_out(id) == evaluation:
            groups.append([Document(f"{id}/{place}", str(text)) for place, text in enumerate(texts)])
    if not groups:
        raise ValueError(
            f"{file}: no line for this split: a tenth of the lines, chosen by a hash of their numbers, is held out, "
            "the rest is for training"
        )
    return groups
