"""What an example is: RoBERTa's input formats (Liu et al. 2019, section 4.2) and packing, as ranges of the stream.

A format is planned once over a whole shard, by array operations; rows are made from it by gathering
(`kepipe.data.row_batches`). Sentence pairs are in `kepipe.data.pairs`.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from kepipe.arrays import Ints
from kepipe.data.dialogues import plan_dialogues
from kepipe.data.examples import Examples, cut_sentences, follow_chain
from kepipe.data.pairs import plan_pairs
from kepipe.data.shards import Shard

Format = Literal["segment-pair", "sentence-pair", "full-sentences", "doc-sentences", "packed", "dialogue"]


def plan(
    shard: Shard,
    format: Format,
    length: int,
    *,
    seed: int = 0,
    begin: bool = True,
    document_mask: bool = False,
) -> Examples:
    """The examples of a shard in a format, each of at most `length` tokens.

    `begin`: rows begin with [CLS] (families without it: GPT, T5). `document_mask`: documents that share a row get
    numbers of their own, so that none sees another; else the row is one. `seed` draws the pairs.
    Raises ValueError for a shard or a length from which the format can make nothing.
    """
    if length < 8:
        raise ValueError(f"a row of {length} tokens is too short: choose a length of at least 8")
    if not len(shard):
        raise ValueError(f"{shard.folder}: the shard is empty")
    if format == "packed":
        return _packed(shard, length, begin, document_mask)
    if format == "full-sentences":
        return _full_sentences(shard, length, begin, document_mask)
    if format == "doc-sentences":
        return _doc_sentences(shard, length, begin)
    if format == "dialogue":
        return plan_dialogues(shard, length, np.random.default_rng(seed))
    return plan_pairs(shard, length, np.random.default_rng(seed), natural=format == "sentence-pair")


def _packed(shard: Shard, length: int, begin: bool, document_mask: bool) -> Examples:
    """Rows of exactly `length` tokens, cut from the stream of all documents, each with its special tokens."""
    # The documents with their special tokens make a tape, which is cut where a document begins and at each row's end:
    # these are the pieces. `within`: how far into its document, opening token included, a piece begins.
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


def _full_sentences(shard: Shard, length: int, begin: bool, document_mask: bool) -> Examples:
    """As many whole sentences as fit, across documents, with [SEP] after each document's part."""
    cuts, of = cut_sentences(shard, length - int(begin) - 1)
    # A row of sentences i..j-1 needs begin + 1 + cuts[j] - cuts[i] tokens and a [SEP] for each document that
    # starts after i: cuts[j] + of[j-1] - (cuts[i] + of[i]) in all.
    needed = cuts[1:] + of
    successors = np.searchsorted(needed, length - int(begin) - 1 + cuts[:-1] + of, side="right")
    rows = follow_chain(successors.tolist(), len(of))
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


def _doc_sentences(shard: Shard, length: int, begin: bool) -> Examples:
    """As many whole sentences of one document as fit."""
    cuts, of = cut_sentences(shard, length - int(begin) - 1)
    fitting = np.searchsorted(cuts, length - int(begin) - 1 + cuts[:-1], side="right") - 1
    ends = np.searchsorted(of, of, side="right")
    rows = follow_chain(np.minimum(fitting, ends).tolist(), len(of))
    starts = cuts[rows]
    ones = np.ones(len(rows), dtype=np.bool_)
    return Examples(
        first=np.arange(len(rows) + 1),
        starts=starts,
        stops=np.append(starts[1:], len(shard)),
        opens=ones & begin,
        closes=ones,
        segment=np.zeros(len(rows), dtype=np.int64),
        document=np.ones(len(rows), dtype=np.int64),
    )


def _count_documents(first: Ints, documents: Ints) -> Ints:
    """Documents of each row's pieces, counted from 1; `first` holds each row's first piece."""
    sizes = np.diff(np.append(first, len(documents)))
    return documents - np.repeat(documents[first], sizes) + 1
