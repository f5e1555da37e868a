"""Rows into which tokens were written, and a batch whose tokens move with them."""

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
    """Rows with tokens written between theirs, padded at the right to the longest.

    Int [B, T]: `tokens`; `owner`, the place in the plain row of the token itself, or of the one that a written token
    belongs to (−1: padding), by which segments and documents follow. `places`: int [B, T_in], where each token of the
    plain row stands now (−1: padding, or cut off).
    """

    tokens: Ints
    owner: Ints
    places: Ints

    @property
    def sentence(self) -> Bools:
        """The tokens of the plain row: bool [B, T]."""
        sentence = np.zeros(self.tokens.shape, np.bool_)
        rows, columns = np.nonzero(self.places >= 0)
        sentence[rows, self.places[rows, columns]] = True
        return sentence

    def spread(self, values_BT: npt.NDArray[Any], padding: int = 0) -> npt.NDArray[Any]:
        """Values of the plain row's tokens [B, T_in] → [B, T]; a written token takes those of its owner."""
        taken = np.take_along_axis(values_BT, np.maximum(self.owner, 0), axis=1)
        return np.where(self.owner >= 0, taken, padding)


def move(batch: Batch, rows: MovedRows, method: str) -> Batch:
    """A batch of plain rows as `rows`: what belongs to a token goes where the token goes.

    A written token has the document, segment and prefix of its owner, and no entity. Labels of tokens that were cut off
    are left out. Raises ValueError, which names the `method`, where another asks for places.
    """
    import torch

    from kepipe.objectives.losses import tensor

    assert batch.decoder_tokens is None, "what a decoder reads from is not in the places of the rows any more"
    if batch.extra:
        raise ValueError(
            f"knowledge: {method} moves tokens, and what the model starts from brings a method that asks for entities "
            "at places that do not move: name that in `knowledge` too, with what `kepipe plan` then says to write"
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
