"""An objective: a collator that corrupts rows on the CPU, and a criterion that computes the loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np

    from kepipe.data.batch import Batch, TokenRows
    from kepipe.data.row_batches import RowStream
    from kepipe.objectives.losses import HiddenCriterion


class Collator(Protocol):
    """Clean rows → a batch: what the model sees, and its labels.

    A pure function of its arguments, so that batch n is the same after a resume.
    """

    def __call__(self, rows: TokenRows, rng: np.random.Generator, progress: float, /) -> Batch:
        """`progress`: share of the training that is done, in 0..1."""
        ...


@dataclass(frozen=True)
class Objective:
    """A corruption, a visibility and a loss."""

    collate: Collator
    criterion: HiddenCriterion
    rows: RowStream | None = None
    """Rows that the objective makes itself; None: it is trained on rows of the stage's format."""

    def batch(
        self, number: int, rows: Callable[[int], TokenRows], rng: np.random.Generator, progress: float
    ) -> Batch:
        """Batch `number`, made of the objective's own rows if it has any, else of `rows`."""
        clean = rows(number) if self.rows is None else self.rows[number]
        return _of_stream(self.collate(clean, rng, progress), clean)

    def held_out(
        self, rows: Callable[[int], TokenRows], count: int, rng: Callable[[int], np.random.Generator]
    ) -> list[Batch]:
        """The first `count` batches, corrupted as at the end of training; at most one epoch of the objective's own
        rows. `rng`: batch number → generator."""
        if self.rows is not None:
            count = min(count, int(self.rows.per_epoch))
        return [self.batch(number, rows, rng(number), 1.0) for number in range(count)]


def _of_stream(batch: Batch, rows: TokenRows) -> Batch:
    """The batch, with the stream that its rows belong to (`Batch.stream`, `continues`, `from_right`)."""
    if rows.continues is None:
        return batch
    import torch

    from_right = None if rows.from_right is None else torch.from_numpy(rows.from_right.copy())
    continues = torch.from_numpy(rows.continues.copy())
    return replace(batch, continues=continues, stream=rows.stream, from_right=from_right)
