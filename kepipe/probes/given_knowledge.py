"""Apply a model's knowledge to the batches of a probe."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kepipe.data.batch import Batch, Mentions
    from kepipe.knowledge.base import Knowledge


def with_knowledge(batch: Batch, mentions: Mentions, knowledge: Knowledge) -> Batch:
    """The batch as a model with this knowledge reads it.

    Raises ValueError if a position to predict no longer fits into the row.
    """
    given = knowledge.apply(batch, mentions)
    assert batch.label_positions is not None
    assert given.label_positions is not None
    lost = len(batch.label_positions) - len(given.label_positions)
    if lost:
        raise ValueError(
            f"knowledge leaves no room for {lost:,} of the {len(batch.label_positions):,} blanks of a batch: rows have "
            f"{batch.tokens.shape[1]} tokens; set a larger `length` in `knowledge`, or a smaller `context`"
        )
    return given
