"""Answers in the row of their text."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from kepipe.arrays import Ints

if TYPE_CHECKING:
    from kepipe.data.batch import Batch


def join(batch: Batch, target_BU: Ints, lengths_B: Ints, pad_id: int) -> tuple[Batch, Ints]:
    """The batch with each answer directly after its text, and the places of the answers' tokens among the B·T, int [N],
    in the order of `target_BU`, whose first `lengths_B` tokens count."""
    from kepipe.objectives.losses import tensor

    tokens_BT, source_B = batch.tokens.numpy(), batch.documents.numpy().sum(1)
    rows, longest = len(tokens_BT), int((source_B + lengths_B).max())
    joined_BT = np.full((rows, longest), pad_id)
    kept = min(longest, tokens_BT.shape[1])
    joined_BT[:, :kept] = tokens_BT[:, :kept]
    there_BU = np.arange(target_BU.shape[1]) < lengths_B[:, None]
    row_N, place_N = np.nonzero(there_BU)
    at_N = source_B[row_N] + place_N
    joined_BT[row_N, at_N] = target_BU[there_BU]
    joined = replace(
        batch,
        tokens=tensor(joined_BT),
        documents=tensor(np.arange(longest) < (source_B + lengths_B)[:, None]),
        segments=tensor(np.zeros_like(joined_BT)),
        labels=tensor(target_BU[there_BU]),
    )
    return joined, row_N * longest + at_N
