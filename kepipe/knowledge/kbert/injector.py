"""From rows with mentions to sentence trees: look up, choose, word, plant. Nothing is done token by token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from kepipe.arrays import pad
from kepipe.data.batch import Sequences
from kepipe.knowledge.kbert.facts import Facts
from kepipe.knowledge.kbert.ranking import CHOICES, Ground, Scene
from kepipe.knowledge.kbert.settings import Inject
from kepipe.knowledge.kbert.tree import Anchors, Branches, Planted, plant
from kepipe.knowledge.kbert.triple_tokenizer import Wording
from kepipe.tokenization.tokenizer import Tokenizer
from kg.store import Graph, UnknownEntityError

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
LOOKED_AT = 256
"""Most triples of an entity that a ranking by context compares: the first of the graph's order."""


class Trunk(Protocol):
    """A row to be dressed: tokens, and mentions as (first token, one past the last, entity id) in order."""

    @property
    def tokens(self) -> Ints: ...

    @property
    def mentions(self) -> Sequence[tuple[int, int, str]]: ...


@dataclass(frozen=True)
class Chosen:
    """N triples to hang, those of an anchor best first.

    `anchors`: int [N], the anchor of each. `triples`: int32 [N, 3]. `scores`: float [N], what the ranking gave.
    """

    anchors: Ints
    triples: npt.NDArray[np.int32]
    scores: Floats


class Injector:
    """Writes triples of a graph into token rows.

    `causal`: for a decoder (see `plant`). `positions`: how many the model has. `vectors`: for `choice: plausible`.
    """

    def __init__(
        self,
        graph: Graph,
        tokenizer: Tokenizer,
        settings: Inject,
        *,
        causal: bool = False,
        positions: int | None = None,
        vectors: Path | None = None,
    ) -> None:
        self.graph, self.settings = graph, settings
        self._causal, self._positions, self._pad = causal, positions or None, tokenizer.pad
        self._wording = Wording(graph, tokenizer, settings.predicate)
        facts = Facts.of(graph, settings.splits)
        choice, ground = CHOICES[settings.choice], Ground(graph, facts, self._wording, vectors)
        self._worth = None
        if choice.worth is not None:
            worth = choice.worth(ground)
            facts = facts.ranked(worth)
            self._worth = worth[np.lexsort((-worth, facts.triples[:, 0]))]
        self.facts = facts
        self._fit = None if choice.fit is None else choice.fit(ground)
        self._rows: dict[str, int] = {}

    def rows(self, rows: Sequence[Trunk]) -> Planted:
        """Rows of a task as trees, padded to the longest."""
        lengths = np.fromiter((len(row.tokens) for row in rows), np.int64, len(rows))
        tokens = (
            pad(np.concatenate([row.tokens for row in rows]), lengths, self._pad)
            if rows
            else np.zeros((0, 0))
        )
        found = [(number, *mention) for number, row in enumerate(rows) for mention in row.mentions]
        places = np.array([mention[:3] for mention in found], np.int64).reshape(-1, 3)
        entities = np.fromiter((self.row(mention[3]) for mention in found), np.int64, len(found))
        return self.plant(tokens.astype(np.int64), lengths, Anchors(*places.T), entities)

    def descriptors(self, planted: Planted) -> dict[str, Ints | None]:
        """`positions`, `branch`, `mention` as the settings want them in a batch; None: nothing to say."""
        return {
            "positions": planted.positions if self.settings.soft else None,
            "branch": planted.branch if self.settings.visible else None,
            "mention": planted.mention if self.settings.visible else None,
        }

    def plant(self, tokens_BT: Ints, lengths_B: Ints, anchors: Anchors, entities_M: Ints) -> Planted:
        """The trees of padded rows. `entities_M`: the graph's row of each anchor, −1 for one that has none."""
        return self.hang(
            tokens_BT, lengths_B, anchors, self.choose(tokens_BT, lengths_B, anchors, entities_M)
        )

    def choose(self, tokens_BT: Ints, lengths_B: Ints, anchors: Anchors, entities_M: Ints) -> Chosen:
        """The triples of each anchor's entity that rank first."""
        most = self.settings.max_branches
        if self._fit is None:
            owners, triples = self.facts.first(entities_M, most)
            scores = np.zeros(len(triples)) if self._worth is None else self._worth[triples]
            return Chosen(owners, self.facts.triples[triples], scores)
        owners, triples = self.facts.first(entities_M, LOOKED_AT)
        scores = self._fit(Scene(tokens_BT, lengths_B, anchors, entities_M, owners, triples))
        order = np.lexsort((-scores, owners))
        begins = np.searchsorted(owners, owners[order])
        best = order[np.arange(len(order)) - begins < most]
        return Chosen(owners[best], self.facts.triples[triples[best]], scores[best])

    def hang(self, tokens_BT: Ints, lengths_B: Ints, anchors: Anchors, chosen: Chosen) -> Planted:
        """The trees that chosen triples make. `Planted.kept` speaks of them, in their order."""
        lengths, tokens = self._wording.branches(chosen.triples)
        return plant(
            tokens_BT,
            lengths_B,
            anchors,
            Branches(chosen.anchors, lengths, tokens),
            length=self.settings.length,
            positions=self._positions,
            causal=self._causal,
            upstream=self.settings.upstream,
            pad=self._pad,
        )

    def row(self, id: str) -> int:
        """The graph's row of an entity, −1 for one that it does not have."""
        found = self._rows.get(id)
        if found is None:
            try:
                found = self.graph.row(id)
            except UnknownEntityError:
                found = -1
            self._rows[id] = found
        return found

    def map_ids(self, ids: Sequence[str]) -> Ints:
        """The graph's row of each id, and a −1 at the end, so that entity −1 (none) has no triples: int [n + 1]."""
        return np.array([*(self.row(id) for id in ids), -1], np.int64)


def find_mentions(sequences: Sequences) -> tuple[Anchors, Ints]:
    """The mentions in rows of pretraining, and the entity number of each."""
    named, begins = sequences.entities >= 0, sequences.mention_begins()
    ends = named.copy()
    ends[:, :-1] &= ~(named & ~begins)[:, 1:]
    rows, first = np.nonzero(begins)
    stop = np.nonzero(ends)[1] + 1
    anchors = Anchors(*(column.astype(np.int64) for column in (rows, first, stop)))
    return anchors, sequences.entities[rows, first]
