"""Rows with inserted tokens, and moving a batch's fields with its tokens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from kepipe.arrays import Bools, Ints

if TYPE_CHECKING:
    from torch import Tensor

    from kepipe.data.batch import Batch


@dataclass(frozen=True)
class MovedRows:
    """Rows with inserted tokens, right-padded to the longest.

    Int [B, T]: `tokens`; `owner`, the column in the original row of the token, or of the token that an inserted token
    belongs to (−1: padding), which determines its segment and document. `places`: int [B, T_in], the new column of each
    token of the original row (−1: padding, or cut off).
    """

    tokens: Ints
    owner: Ints
    places: Ints

    @property
    def sentence(self) -> Bools:
        """Which tokens are of the original row: bool [B, T]."""
        sentence = np.zeros(self.tokens.shape, np.bool_)
        rows, columns = np.nonzero(self.places >= 0)
        sentence[rows, self.places[rows, columns]] = True
        return sentence

    def spread(self, values_BT: npt.NDArray[Any], padding: int = 0) -> npt.NDArray[Any]:
        """Values of the original tokens [B, T_in] → [B, T]; an inserted token gets the value of its owner."""
        taken = np.take_along_axis(values_BT, np.maximum(self.owner, 0), axis=1)
        return np.where(self.owner >= 0, taken, padding)


def move(batch: Batch, rows: MovedRows, method: str) -> Batch:
    """The batch with its tokens moved as in `rows`, and all per-token fields moved with them.

    An inserted token gets the document, segment and prefix of its owner, and no entity. Labels of tokens that were cut
    off are dropped. Raises ValueError, naming `method`, if another method refers to fixed positions.
    """
    import torch

    from kepipe.objectives.losses import tensor

    assert batch.decoder_tokens is None, "a decoder's input no longer has the positions of the rows"
    if batch.extra:
        raise ValueError(
            f"knowledge: {method} moves tokens, but the base model brings a method that predicts entities at fixed "
            "positions: list that method in `knowledge` too, with the settings that `kepipe plan` then suggests"
        )

    def spread(values: Tensor | None, written: bool = True) -> Tensor | None:
        if values is None:
            return None
        moved: npt.NDArray[np.int64] = rows.spread(values.numpy())
        return tensor(moved if written else np.where(rows.sentence, moved, 0))

    positions, labels = batch.label_positions, batch.labels
    if positions is not None:
        of, columns = np.divmod(positions.numpy(), batch.tokens.shape[1])
        places = rows.places[of, columns]
        left = places >= 0
        positions = tensor((of * rows.tokens.shape[1] + places)[left])
        labels = None if labels is None else labels[torch.from_numpy(left)]
    documents = spread(batch.documents)
    assert documents is not None
    return replace(
        batch,
        tokens=tensor(rows.tokens),
        documents=documents,
        segments=spread(batch.segments),
        prefix=spread(batch.prefix),
        tasks=spread(batch.tasks),
        entities=spread(batch.entities, written=False),
        label_positions=positions,
        labels=labels,
        moved=tensor(rows.places),
    )
