"""Any objective that restores tokens where they stand, on rows into which triples are written (K-BERT).

The rows are corrupted first and dressed after: with a graph, with another or with none, the same tokens are hidden,
and no ranking sees what is hidden.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from kepipe.arrays import Ints
from kepipe.data.batch import Batch, TokenRows
from kepipe.knowledge.kbert.injector import Injector, find_mentions
from kepipe.knowledge.kbert.tree import InjectedRows
from kepipe.objectives.base import Objective, measures
from kepipe.objectives.losses import tensor

if TYPE_CHECKING:
    from kepipe.models.transformer import Transformer


@dataclass(frozen=True)
class Injected:
    """`objective`, its rows dressed by `injector`. `rows_of`: int [n + 1], the graph's row of each entity number of
    the shards, −1 at the end (`Injector.map_ids`)."""

    objective: Objective
    injector: Injector
    rows_of: Ints

    @property
    def terms(self) -> tuple[str, ...]:
        """Those of the objective."""
        return self.objective.terms

    @property
    def measures(self) -> tuple[str, ...]:
        """Those of the objective."""
        return measures(self.objective)

    def corrupt(self, rows: TokenRows, rng: np.random.Generator, progress: float) -> Batch:
        """See `Objective.corrupt`."""
        batch = self.objective.corrupt(rows, rng, progress)
        mentions, numbers = find_mentions(rows)
        lengths = (rows.documents > 0).sum(1)
        injected = self.injector.build_rows(batch.tokens.numpy(), lengths, mentions, self.rows_of[numbers])
        told = self.injector.descriptors(injected)
        dressed = {name: None if values is None else tensor(values) for name, values in told.items()}
        return replace(move(batch, injected), **dressed)  # type: ignore[arg-type]  # names of tensors alone

    def counts(self, batch: Batch) -> Mapping[str, int]:
        """See `Objective.counts`."""
        return self.objective.counts(batch)

    def loss(self, model: Transformer, batch: Batch) -> dict[str, Tensor]:
        """See `Objective.loss`."""
        return self.objective.loss(model, batch)


def move(batch: Batch, injected: InjectedRows) -> Batch:
    """A batch of plain rows as one of trees: what is told of a token goes where the token goes.

    A branch has the document, segment and prefix of its mention, and no entity. Selected tokens that were cut off
    are not asked for.
    """
    assert batch.decoder_tokens is None, "what a decoder reads from is not in the places of the rows any more"
    assert not batch.extra, "places in `extra` would not move"

    def spread(values: Tensor | None, branches: bool = True) -> Tensor | None:
        if values is None:
            return None
        moved = injected.spread(values.numpy())
        return tensor(moved if branches else np.where(injected.sentence, moved, 0))

    selected, labels = batch.label_positions, batch.labels
    if selected is not None and labels is not None:
        rows, columns = np.divmod(selected.numpy(), batch.tokens.shape[1])
        places = injected.places[rows, columns]
        left = places >= 0
        selected = tensor((rows * injected.tokens.shape[1] + places)[left])
        labels = labels[torch.from_numpy(left)]
    documents = spread(batch.documents)
    assert documents is not None
    return replace(
        batch,
        tokens=tensor(injected.tokens),
        documents=documents,
        segments=spread(batch.segments),
        prefix=spread(batch.prefix),
        tasks=spread(batch.tasks),
        entities=spread(batch.entities, branches=False),
        label_positions=selected,
        labels=labels,
    )
