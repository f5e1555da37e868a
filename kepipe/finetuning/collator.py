"""Rows → a batch: knowledge enters, all is padded, marks become places, labels become tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from kepipe.arrays import Ints, pad
from kepipe.data.batch import Batch
from kepipe.finetuning.heads import Kind
from kepipe.finetuning.rows import Row
from kepipe.models.entities import EntityVectors, attach
from kepipe.objectives.losses import tensor

if TYPE_CHECKING:
    from kepipe.knowledge.kbert.injector import Injector


@dataclass(frozen=True)
class Collator:
    """What every row of a task goes through, in training, measuring and prediction alike.

    `pad`: id of the padding token. `labels`: how many there are. `per_word`: cases are words, else rows. `causal`: for
    a decoder. `vectors`: of the entities that the model fuses; `injector`: writes triples into the rows; None: no
    knowledge of that kind.
    """

    pad: int
    kind: Kind
    labels: int
    per_word: bool = False
    causal: bool = False
    vectors: EntityVectors | None = None
    injector: Injector | None = None

    def batch(self, rows: Sequence[Row]) -> tuple[Batch, Ints]:
        """The batch, with labels where the rows have them, and how many cases each row has: int [B]."""
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        tokens, segments = (
            pad(np.concatenate(values), lengths, fill)
            for values, fill in (
                ([row.tokens for row in rows], self.pad),
                ([row.segments for row in rows], 0),
            )
        )
        there = np.arange(tokens.shape[1]) < lengths[:, None]
        documents = there.astype(np.int64)
        places = np.where(there, np.arange(tokens.shape[1]), -1)
        tree: dict[str, Any] = {}
        if self.injector is not None:
            injected = self.injector.rows(rows)
            tokens, places, lengths = injected.tokens, injected.places, injected.lengths
            segments, documents = injected.spread(segments), injected.spread(documents)
            described = self.injector.descriptors(injected).items()
            tree = {name: tensor(values) for name, values in described if values is not None}
        marks, labels, cases_B = self._marks(rows, places, lengths, tokens.shape[1])
        batch = Batch(
            tensor(tokens),
            tensor(documents),
            tensor(segments),
            visibility="causal" if self.causal else "full",
            label_positions=tensor(marks),
            labels=None if labels is None else tensor(labels),
            **tree,
        )
        return self._fuse(batch, rows, places), cases_B

    def _marks(
        self, rows: Sequence[Row], places: Ints, lengths: Ints, width: int
    ) -> tuple[Ints, Ints | None, Ints]:
        """Flat places of what the head reads, the labels, and the cases of each row.

        A word that injection cut off is no case any more; another mark that it cut off is the row's last token.
        """
        counts = np.fromiter((len(row.marks) for row in rows), np.int64, len(rows))
        of = np.repeat(np.arange(len(rows)), counts)
        marks = places[of, np.fromiter(chain.from_iterable(row.marks for row in rows), np.int64)]
        labels = None
        if all(row.labels for row in rows if row.marks):
            given = [row.labels for row in rows]
            labels = (
                self._several(given)
                if self.kind == "several"
                else np.fromiter(chain.from_iterable(given), np.int64)
            )
        if not self.per_word:
            return of * width + np.where(marks < 0, lengths[of] - 1, marks), labels, np.ones_like(lengths)
        left = marks >= 0
        labels = None if labels is None else labels[left]
        return of[left] * width + marks[left], labels, np.bincount(of[left], minlength=len(rows))

    def _several(self, given: Sequence[Sequence[int]]) -> Ints:
        hot_BL = np.zeros((len(given), self.labels), np.int64)
        for row, labels in enumerate(given):
            hot_BL[row, list(labels)] = 1
        return hot_BL

    def _fuse(self, batch: Batch, rows: Sequence[Row], places: Ints) -> Batch:
        """The vectors of the named entities, at the first tokens of their mentions."""
        if self.vectors is None:
            return batch
        named = [(number, *mention) for number, row in enumerate(rows) for mention in row.mentions]
        entities_BT = np.full(tuple(batch.tokens.shape), -1, np.int64)
        of = np.array([mention[0] for mention in named], np.int64)
        at = places[of, np.array([mention[1] for mention in named], np.int64)]
        found = self.vectors.rows([mention[3] for mention in named])
        entities_BT[of[at >= 0], at[at >= 0]] = found[at >= 0]
        return attach(batch, entities_BT, self.vectors)
