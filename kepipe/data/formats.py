"""Row formats: RoBERTa's input formats (Liu et al. 2019, section 4.2) and packing, as ranges of the token stream.

The rows of a shard are planned once by array operations, and gathered batch by batch (`kepipe.data.row_batches`).
Sentence pairs are in `kepipe.data.pairs`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from kepipe.arrays import Ints
from kepipe.data.dialogues import plan_dialogues
from kepipe.data.examples import Examples, chain_starts, cut_sentences, fill_rows
from kepipe.data.pairs import plan_pairs
from kepipe.data.shards import Shard


class RowPlan(NamedTuple):
    """How rows are cut: maximum length in tokens, whether they begin with [CLS], whether documents that share a row get
    distinct numbers, and the seed."""

    length: int
    begin: bool
    document_mask: bool
    rng: np.random.Generator


class Format(NamedTuple):
    """A row of the table: the examples of a shard, and whether they are pairs with a label."""

    plan: Callable[[Shard, RowPlan], Examples]
    pairs: bool = False


def plan(
    shard: Shard,
    format: FormatName,
    length: int,
    *,
    seed: int = 0,
    begin: bool = True,
    document_mask: bool = False,
) -> Examples:
    """The examples of a shard in a format, each of at most `length` tokens.

    `begin`: rows begin with [CLS] (not for GPT and T5). `document_mask`: documents that share a row get distinct
    numbers, so that they do not attend to each other; else they share one. `seed`: of the pairs.
    Raises ValueError if the format yields no row for this shard and length.
    """
    if length < 8:
        raise ValueError(f"a row of {length} tokens is too short: choose a length of at least 8")
    if not len(shard):
        raise ValueError(f"{shard.folder}: the shard is empty")
    return FORMATS[format].plan(shard, RowPlan(length, begin, document_mask, np.random.default_rng(seed)))


def _packed(shard: Shard, how: RowPlan) -> Examples:
    """Rows of exactly `length` tokens, cut from the stream of all documents, each with its special tokens."""
    length, begin, document_mask, _ = how
    # The stream of documents with their special tokens is cut at the start of each document and at the end of each
    # row; the results are the pieces. `within`: offset of a piece in its document, opening token included.
    sizes = np.diff(shard.documents)
    opening = int(begin)
    ends = np.cumsum(opening + sizes + 1)
    begins = ends - (opening + sizes + 1)
    cuts = np.unique(np.concatenate([begins, np.arange(0, ends[-1], length)]))
    stops = np.append(cuts[1:], ends[-1])
    of = np.searchsorted(ends, cuts, side="right")
    within = cuts - begins[of]
    begins_text = shard.documents[of]
    rows = np.flatnonzero(cuts % length == 0)
    return Examples(
        first=np.append(rows, len(cuts)),
        starts=begins_text + np.clip(within - opening, 0, sizes[of]),
        stops=begins_text + np.clip(within + stops - cuts - opening, 0, sizes[of]),
        opens=(within == 0) & begin,
        closes=stops == ends[of],
        segment=np.zeros(len(cuts), dtype=np.int64),
        document=_count_documents(rows, of) if document_mask else np.ones(len(cuts), dtype=np.int64),
    )


def _doc_packed(shard: Shard, how: RowPlan) -> Examples:
    """Consecutive rows of `length` tokens of one document; its last row is shorter. [CLS] is before the first, [SEP]
    after the last."""
    length, opening = how.length, int(how.begin)
    sizes = np.diff(shard.documents)
    parts = -(-(opening + sizes + 1) // length)
    of = np.repeat(np.arange(len(sizes)), parts)
    within = (np.arange(len(of)) - np.repeat(np.cumsum(parts) - parts, parts)) * length
    begins_text = shard.documents[of]
    ones = np.ones(len(of), dtype=np.int64)
    return Examples(
        first=np.arange(len(of) + 1),
        starts=begins_text + np.clip(within - opening, 0, sizes[of]),
        stops=begins_text + np.clip(within - opening + length, 0, sizes[of]),
        opens=(within == 0) & how.begin,
        closes=within + length > opening + sizes[of],
        segment=0 * ones,
        document=ones,
    )


def _full_sentences(shard: Shard, how: RowPlan) -> Examples:
    """As many whole sentences as fit, across documents, with [SEP] after each document's part."""
    length, begin, document_mask, _ = how
    cuts, of = cut_sentences(shard, length - int(begin) - 1)
    # A row of sentences i..j-1 needs begin + 1 + cuts[j] - cuts[i] tokens and a [SEP] for each document that
    # starts after i: cuts[j] + of[j-1] - (cuts[i] + of[i]) in all.
    needed = cuts[1:] + of
    successors = np.searchsorted(needed, length - int(begin) - 1 + cuts[:-1] + of, side="right")
    rows = chain_starts(successors.tolist(), len(of))
    starts = np.unique(np.concatenate([cuts[rows], shard.documents[:-1]]))
    first = np.searchsorted(starts, cuts[rows])
    documents = np.searchsorted(shard.documents, starts, side="right") - 1
    opens = np.zeros(len(starts), dtype=np.bool_)
    opens[first] = begin
    return Examples(
        first=np.append(first, len(starts)),
        starts=starts,
        stops=np.append(starts[1:], len(shard)),
        opens=opens,
        closes=np.ones(len(starts), dtype=np.bool_),
        segment=np.zeros(len(starts), dtype=np.int64),
        document=_count_documents(first, documents)
        if document_mask
        else np.ones(len(starts), dtype=np.int64),
    )


def plan_documents(shard: Shard, how: RowPlan) -> Examples:
    """As many whole sentences of one document as fit."""
    length, begin, _, _ = how
    room = length - int(begin) - 1
    cuts, of = cut_sentences(shard, room)
    starts = cuts[fill_rows(cuts, of, room)]
    ones = np.ones(len(starts), dtype=np.bool_)
    return Examples(
        first=np.arange(len(starts) + 1),
        starts=starts,
        stops=np.append(starts[1:], len(shard)),
        opens=ones & begin,
        closes=ones,
        segment=np.zeros(len(starts), dtype=np.int64),
        document=np.ones(len(starts), dtype=np.int64),
    )


def _count_documents(first: Ints, documents: Ints) -> Ints:
    """The document of each piece, counted from 1 in its row; `first`: each row's first piece."""
    sizes = np.diff(np.append(first, len(documents)))
    return documents - np.repeat(documents[first], sizes) + 1


FORMATS: Mapping[str, Format] = {
    "segment-pair": Format(
        lambda shard, how: plan_pairs(shard, how.length, how.rng, natural=False), pairs=True
    ),
    "sentence-pair": Format(
        lambda shard, how: plan_pairs(shard, how.length, how.rng, natural=True), pairs=True
    ),
    "full-sentences": Format(_full_sentences),
    "doc-sentences": Format(plan_documents),
    "packed": Format(_packed),
    "doc-packed": Format(_doc_packed),
    "dialogue": Format(lambda shard, how: plan_dialogues(shard, how.length, how.rng), pairs=True),
}

if TYPE_CHECKING:
    FormatName = str
else:
    FormatName = Literal[tuple(FORMATS)]
    """The name of a format, as the type of a config's field."""
