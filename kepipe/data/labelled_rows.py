"""Batches of rows with labels, one per row or one per token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from kepipe.arrays import Ints
from kepipe.data.batch import TokenRows
from kepipe.data.row_batches import RowBatches, RowShape
from kepipe.data.token_labels import UNLABELLED


@dataclass(frozen=True)
class LabelledBatches:
    """A `RowStream`. `row_labels`: int [N], the label of each example. `token_labels`: examples → the concatenated
    labels of their text tokens, −1 for none."""

    batches: RowBatches
    row_labels: Ints | None = None
    token_labels: Callable[[Ints], Ints] | None = None

    @property
    def shape(self) -> RowShape:
        """See `RowStream`."""
        return self.batches.shape

    @property
    def per_epoch(self) -> int:
        """See `RowStream`."""
        return self.batches.per_epoch

    def __getitem__(self, n: int) -> TokenRows:
        """See `RowStream`."""
        rows = self.batches[n]
        assert rows.refs is not None
        examples_B = rows.refs.examples
        if self.row_labels is not None:
            rows = replace(rows, row_labels=self.row_labels[examples_B])
        if self.token_labels is not None:
            labels_BT = np.full(rows.tokens.shape, UNLABELLED, np.int64)
            labels_BT[~rows.special] = self.token_labels(examples_B)
            rows = replace(rows, token_labels=labels_BT)
        return rows
