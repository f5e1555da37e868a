"""What a knowledge method is while a model trains or is used, whatever it brings in: units, vectors, triples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from kepipe.data.batch import Batch, Mentions


class Knowledge(Protocol):
    """A method that is opened for a model, its tokenizer and a graph. It works wherever rows become batches."""

    def apply(self, batch: Batch, mentions: Mentions) -> Batch:
        """The batch with what is known of these mentions: as the model is to read it, in training and after.

        Where tokens move, as when triples are written between them, `label_positions` and `labels` move with them, and
        `Batch.moved` says where each token stands.
        """
        ...

    def knows(self, entity: str) -> bool:
        """Whether there is anything to say of an entity: a vector, a triple."""
        ...

    def save(self, folder: Path) -> None:
        """Write what the method needs at inference beside a model."""
        ...
