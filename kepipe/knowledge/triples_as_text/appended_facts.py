"""Facts of the entities that a text names, as sentences after it: what K-BERT writes, without tree and matrix."""

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
    """Writes facts into token rows: after the text, or, for a decoder (`causal`), which reads on, before it.

    `positions`: how many the model has.
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

        A fact stands once in a row, however many mentions it is chosen for; the best of each mention come first. A row
        that is too long alone is cut at its end.
        """
        chosen = self.chooser.choose(tokens_BT, lengths_B, mentions, entities_M, self.settings.max_facts)
        rows, triples = _once_a_row(mentions.rows[chosen.mentions], _ranks(chosen.mentions), chosen.triples)
        sizes, tokens = self._encode(triples)
        whole = np.minimum(lengths_B, self.length)
        kept = _fit(rows, sizes, self.length - whole)
        starts = (np.cumsum(sizes) - sizes)[kept]
        return self._lay_out(tokens_BT, whole, rows[kept], sizes[kept], tokens[ranges(starts, sizes[kept])])

    def _encode(self, triples: Ints32) -> tuple[Ints, Ints]:
        """Length of each fact's sentence, and the tokens of all, one sentence after the other."""
        labels = self._graph.labels
        # The blank is where a sentence begins in running text; tokenizers that write blanks need it.
        texts = [
            f" {self._templates[relation][0].state(labels[head], labels[tail]).text}"
            for head, relation, tail in triples.tolist()
        ]
        encoded = self._tokenizer.encode(texts)
        return encoded.lengths, encoded.tokens

    def _lay_out(
        self, tokens_BT: Ints, whole_B: Ints, rows: Ints, sizes: Ints, fact_tokens: Ints
    ) -> MovedRows:
        """Rows of text and facts. `rows`, `sizes`: of each fact, in order of rows."""
        B, T_in = tokens_BT.shape
        written_B = np.bincount(rows, sizes, B).astype(np.int64)
        lengths_B = whole_B + written_B
        T = int(lengths_B.max(initial=0))
        # Where the text starts and where the facts do: a decoder's first token, if it has one, need not be the first.
        text_B, facts_B = (written_B, np.zeros_like(whole_B)) if self._causal else (whole_B * 0, whole_B)
        there = np.arange(T_in) < whole_B[:, None]
        places = np.where(there, np.arange(T_in) + text_B[:, None], -1)
        tokens, owner = (np.full((B, T), fill, np.int64) for fill in (self._tokenizer.pad, -1))
        row, column = np.nonzero(there)
        tokens[row, places[there]], owner[row, places[there]] = tokens_BT[there], column
        row = np.repeat(np.arange(B), written_B)
        column = ranges(facts_B, written_B)
        tokens[row, column] = fact_tokens
        owner[row, column] = np.maximum(whole_B - 1, 0)[row]
        return MovedRows(tokens, owner, places)


def _ranks(mentions: Ints) -> Ints:
    """The rank of each fact among those of its mention, from 0; a mention's facts stand together, best first."""
    begins = np.flatnonzero(np.diff(mentions, prepend=-1))
    return np.arange(len(mentions)) - np.repeat(begins, np.diff(begins, append=len(mentions)))


def _once_a_row(rows: Ints, ranks: Ints, triples: Ints32) -> tuple[Ints, Ints32]:
    """Row and triple of each fact, in order of rows, then ranks; one that comes twice in a row comes first."""
    order = np.lexsort((ranks, rows))
    rows, triples = rows[order], triples[order]
    _, first = np.unique(np.column_stack([rows, triples]), axis=0, return_index=True)
    first.sort()
    return rows[first], triples[first]


def _fit(rows: Ints, sizes: Ints, room_B: Ints) -> Ints:
    """The facts for which their row has room, int [k], ascending: as many of a row's first as fit one after another."""
    used = np.cumsum(sizes)
    begins = np.searchsorted(rows, np.arange(len(room_B)))
    before = np.append(0, used)[begins]
    return np.flatnonzero((used - before[rows] <= room_B[rows]) & (sizes > 0))
