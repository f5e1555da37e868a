"""Facts about the mentioned entities as sentences after the text: K-BERT's facts without tree and visible matrix."""

from __future__ import annotations

import numpy as np

from kepipe.arrays import Ints, Ints32, ranges
from kepipe.data.batch import MentionSpans
from kepipe.knowledge.choosing.chooser import FactChooser
from kepipe.knowledge.moved_rows import MovedRows
from kepipe.knowledge.triples_as_text.settings import TriplesAsText
from kepipe.tokenization.tokenizer import Tokenizer
from kg.store import Graph
from kg.templates import Templates


class FactAppender:
    """Adds facts to token rows: after the text, or for a decoder (`causal`), which continues the text, before it.

    `positions`: the model's number of positions.
    """

    def __init__(
        self,
        graph: Graph,
        chooser: FactChooser,
        templates: Templates,
        tokenizer: Tokenizer,
        settings: TriplesAsText,
        *,
        causal: bool,
        positions: int,
    ) -> None:
        self.chooser, self.settings = chooser, settings
        self._graph, self._templates, self._tokenizer = graph, templates, tokenizer
        self.length = min(settings.length, positions) if positions else settings.length
        self._causal = causal

    def build_rows(
        self, tokens_BT: Ints, lengths_B: Ints, mentions: MentionSpans, entities_M: Ints
    ) -> MovedRows:
        """The rows with facts. `entities_M`: the graph's row of each mention's entity, −1: none.

        A fact occurs once in a row, even if chosen for several mentions; the best facts of each mention come first. A
        row that is too long by itself is truncated.
        """
        chosen = self.chooser.choose(tokens_BT, lengths_B, mentions, entities_M, self.settings.max_facts)
        rows, triples = _deduplicate(mentions.rows[chosen.mentions], _ranks(chosen.mentions), chosen.triples)
        sizes, tokens = self._encode(triples)
        text_lengths_B = np.minimum(lengths_B, self.length)
        kept = _fit(rows, sizes, self.length - text_lengths_B)
        starts = (np.cumsum(sizes) - sizes)[kept]
        return self._assemble(
            tokens_BT, text_lengths_B, rows[kept], sizes[kept], tokens[ranges(starts, sizes[kept])]
        )

    def _encode(self, triples: Ints32) -> tuple[Ints, Ints]:
        """The length of each fact's sentence, and the concatenated tokens of all."""
        labels = self._graph.labels
        # The leading space is that of running text, for tokenizers that encode spaces.
        texts = [
            f" {self._templates[relation][0].state(labels[head], labels[tail]).text}"
            for head, relation, tail in triples.tolist()
        ]
        encoded = self._tokenizer.encode(texts)
        return encoded.lengths, encoded.tokens

    def _assemble(
        self, tokens_BT: Ints, text_lengths_B: Ints, rows: Ints, sizes: Ints, fact_tokens: Ints
    ) -> MovedRows:
        """Rows of text and facts. `rows`, `sizes`: of each fact, in order of rows."""
        B, T_in = tokens_BT.shape
        written_B = np.bincount(rows, sizes, B).astype(np.int64)
        lengths_B = text_lengths_B + written_B
        T = int(lengths_B.max(initial=0))
        # Start columns of text and facts; a decoder's begin token, if it has one, need not stay first.
        text_B, facts_B = (
            (written_B, np.zeros_like(text_lengths_B))
            if self._causal
            else (text_lengths_B * 0, text_lengths_B)
        )
        is_text_BT = np.arange(T_in) < text_lengths_B[:, None]
        places = np.where(is_text_BT, np.arange(T_in) + text_B[:, None], -1)
        tokens, owner = (np.full((B, T), fill, np.int64) for fill in (self._tokenizer.pad, -1))
        row, column = np.nonzero(is_text_BT)
        tokens[row, places[is_text_BT]], owner[row, places[is_text_BT]] = tokens_BT[is_text_BT], column
        row = np.repeat(np.arange(B), written_B)
        column = ranges(facts_B, written_B)
        tokens[row, column] = fact_tokens
        owner[row, column] = np.maximum(text_lengths_B - 1, 0)[row]
        return MovedRows(tokens, owner, places)


def _ranks(mentions: Ints) -> Ints:
    """The rank of each fact within its mention, from 0; the facts of a mention are contiguous, best first."""
    begins = np.flatnonzero(np.diff(mentions, prepend=-1))
    return np.arange(len(mentions)) - np.repeat(begins, np.diff(begins, append=len(mentions)))


def _deduplicate(rows: Ints, ranks: Ints, triples: Ints32) -> tuple[Ints, Ints32]:
    """Row and triple of the distinct facts of each row, by row, then by best rank."""
    order = np.lexsort((ranks, rows))
    rows, triples = rows[order], triples[order]
    _, first = np.unique(np.column_stack([rows, triples]), axis=0, return_index=True)
    first.sort()
    return rows[first], triples[first]


def _fit(rows: Ints, sizes: Ints, room_B: Ints) -> Ints:
    """Indices of the facts that fit into their rows, int [k], ascending: the longest fitting prefix of each row's
    facts."""
    used = np.cumsum(sizes)
    begins = np.searchsorted(rows, np.arange(len(room_B)))
    before = np.append(0, used)[begins]
    return np.flatnonzero((used - before[rows] <= room_B[rows]) & (sizes > 0))
