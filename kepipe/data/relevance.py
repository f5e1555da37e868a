"""Pairs of a query and a passage with strong, weak or no relevance.

Sun et al. 2020, "ERNIE 2.0", §4.2.3, use the logs of a search engine: a title that was clicked (strong relevance),
shown but not clicked (weak), or a random one (none). Without such logs, a document's title, or its first sentence if
it has none, is the query here; its own passages are strong; a passage of another document that contains the query's
rarest word, as a search would find, is weak.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from kepipe.arrays import Bools, Ints
from kepipe.data.alignment import WORD
from kepipe.data.examples import Examples, cut_sentences, fill_rows
from kepipe.data.pairs import Sides, pair_up, truncate
from kepipe.data.shards import STRETCH, Shard
from kepipe.tokenization.tokenizer import Tokenizer

RELEVANCE = ("strong", "weak", "none")
"""The labels of a query and a passage, by index."""


@dataclass(frozen=True)
class Queries:
    """A query for each of D documents: tokens `starts` to `stops` of the text followed by the titles, int [D] each.
    `titled`: whether it is a title, bool [D]."""

    starts: Ints
    stops: Ints
    titled: Bools


class Joined:
    """Two concatenated columns, read lazily."""

    def __init__(self, first: npt.NDArray[Any], second: npt.NDArray[Any]) -> None:
        self.first, self.second = first, second

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def __getitem__(self, places_N: Ints) -> npt.NDArray[Any]:
        behind = places_N >= len(self.first)
        values_N = np.empty(len(places_N), self.first.dtype)
        values_N[~behind] = self.first[places_N[~behind]]
        values_N[behind] = self.second[places_N[behind] - len(self.first)]
        return values_N


def add_titles(shard: Shard, titles: list[str], tokenizer: Tokenizer) -> tuple[Shard, Queries]:
    """The shard with the titles of its D documents after its text, and the query of each document."""
    encoded = tokenizer.encode(titles)
    ends = len(shard) + np.cumsum(encoded.lengths)
    titled = encoded.lengths > 0
    sentences = shard.sentences
    second = sentences[np.searchsorted(sentences, shard.documents[:-1]) + 1]
    queries = Queries(
        np.where(titled, ends - encoded.lengths, shard.documents[:-1]), np.where(titled, ends, second), titled
    )
    behind: tuple[npt.NDArray[Any], ...] = (
        encoded.tokens,
        encoded.words * np.uint8(WORD),
        np.full(len(encoded.tokens), -1, np.int32),
    )
    before: tuple[npt.NDArray[Any], ...] = (shard.tokens, shard.bounds, shard.entities)
    columns = zip(before, behind, strict=True)
    tokens, bounds, entities = (cast("Any", Joined(ours, theirs)) for ours, theirs in columns)
    return replace(shard, tokens=tokens, bounds=bounds, entities=entities), queries


def plan_relevance(
    shard: Shard, titles: list[str], tokenizer: Tokenizer, length: int, rng: np.random.Generator
) -> tuple[Shard, Examples, Ints]:
    """The shard with titles (`add_titles`), rows `[CLS] query [SEP] passage [SEP]` of it of at most `length` tokens,
    and the label of each: int [rows].

    A passage is as many sentences of a document as fit, and is in one row. Its label is drawn uniformly; the query is
    that of its own document, of a random other document whose query's rarest word it contains, or of a random other
    document. The rarest word is the least frequent of those of a query that also occur in other documents. Passages
    without a weak query are not used: they would bias the labels. Raises ValueError if there is no usable passage.
    """
    if len(shard.documents) < 3:
        raise ValueError(f"{shard.folder}: relevance needs at least 2 documents")
    joined, queries = add_titles(shard, titles, tokenizer)
    room = length - 3
    starts, stops, of = _passages(shard, queries, room)
    keys_D = _rarest(shard, joined, queries, tokenizer.vocab_size)
    weak = _weak_queries(shard, starts, stops, of, keys_D, rng)
    kept = weak >= 0
    if not kept.any():
        raise ValueError(f"{shard.folder}: no two documents share a word of a title or a first sentence")
    starts, stops, of, weak = (values[kept] for values in (starts, stops, of, weak))
    none = rng.integers(0, len(shard.documents) - 2, len(of))
    none += none >= of
    labels = rng.integers(0, len(RELEVANCE), len(of))
    query = np.choose(labels, [of, weak, none])
    sides = truncate(Sides(queries.starts[query], queries.stops[query], starts, stops), room, rng)
    return joined, pair_up(sides), labels


def _passages(shard: Shard, queries: Queries, room: int) -> tuple[Ints, Ints, Ints]:
    """Starts, stops and documents of the passages. A first sentence that is a query is in none."""
    cuts, of = cut_sentences(shard, room)
    apart = ~queries.titled[of] & (cuts[:-1] < queries.stops[of])
    rows = fill_rows(cuts, 2 * of + ~apart, room)
    stops = cuts[np.append(rows[1:], len(of))]
    kept = ~apart[rows]
    return cuts[rows][kept], stops[kept], of[rows][kept]


def _rarest(shard: Shard, joined: Shard, queries: Queries, vocabulary: int) -> Ints:
    """The least frequent token of each query that begins a word and occurs in other documents: int [D], −1: none."""
    counts = shard.counts(vocabulary)
    first, last = np.full(vocabulary, -1, np.int64), np.full(vocabulary, -1, np.int64)
    for start in range(0, len(shard), STRETCH):
        tokens = np.asarray(shard.tokens[start : start + STRETCH], np.int64)
        places = np.arange(start, start + len(tokens))
        documents = np.searchsorted(shard.documents, places, side="right") - 1
        last[tokens] = documents
        new = first[tokens] < 0
        first[tokens[new][::-1]] = documents[new][::-1]
    keys = np.full(len(queries.starts), -1, np.int64)
    for document, (start, stop) in enumerate(zip(queries.starts, queries.stops, strict=True)):
        places = np.arange(start, stop)
        tokens = joined.tokens[places].astype(np.int64)
        elsewhere = (first[tokens] >= 0) & ((first[tokens] != document) | (last[tokens] != document))
        tokens = tokens[((joined.bounds[places] & WORD) > 0) & elsewhere]
        if len(tokens):
            keys[document] = tokens[counts[tokens].argmin()]
    return keys


def _weak_queries(
    shard: Shard, starts: Ints, stops: Ints, of: Ints, keys_D: Ints, rng: np.random.Generator
) -> Ints:
    """For each passage, another document whose query's rarest word it contains: int [passages], −1: none."""
    keyed = np.argsort(keys_D, kind="stable")
    ordered = keys_D[keyed]
    found = np.full(len(starts), -1, np.int64)
    for number, (start, stop, own) in enumerate(zip(starts, stops, of, strict=True)):
        tokens = np.unique(shard.tokens[start:stop]).astype(np.int64)
        low, high = (
            np.searchsorted(ordered, tokens, side="left"),
            np.searchsorted(ordered, tokens, side="right"),
        )
        documents = np.concatenate([keyed[a:b] for a, b in zip(low, high, strict=True)])
        documents = documents[documents != own]
        if len(documents):
            found[number] = documents[int(rng.random() * len(documents))]
    return found
