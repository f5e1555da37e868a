"""Shared by contrastive objectives: settings, collator and rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from kepipe.config import UserPath, runtime_only
from kepipe.models.text_pooling import Pooling
from kepipe.objectives.settings import ObjectiveSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from kepipe.data.batch import Batch, TokenRows
    from kepipe.data.document import Document
    from kepipe.data.examples import Examples
    from kepipe.data.paired_rows import Member, PairedBatches
    from kepipe.data.shards import Shard
    from kepipe.objectives.base import Objective
    from kepipe.objectives.ernie2.labelled import Text
    from kepipe.tokenization.tokenizer import Tokenizer


class Contrastive(ObjectiveSettings):
    """Distinguish matching texts from others."""

    pooling: Pooling = "mean"
    """The vector of a text: the mean over its tokens, special ones included, or the first token ([CLS])."""
    temperature: float = Field(0.05, gt=0)
    """τ, by which cosines are divided; a smaller one gives the hardest negatives more weight."""


class OfFile(Contrastive):
    """A contrastive objective on texts of a file."""

    file: UserPath = runtime_only(...)
    """The user's file."""

    def files(self) -> tuple[Path, ...]:
        """See `ObjectiveSettings`."""
        return (self.file,)


def build(section: Contrastive, _tokenizer: Tokenizer) -> Objective:
    """The objective; it needs rows of its own."""
    from functools import partial

    from kepipe.objectives.base import Objective
    from kepipe.objectives.contrastive.loss import ContrastiveLoss

    return Objective(partial(_collate, section.pooling), ContrastiveLoss(section.temperature))


def _collate(pooling: str, rows: TokenRows, _rng: np.random.Generator, _progress: float) -> Batch:
    """The rows without masking. `extra` holds the positions of pooled tokens, and groups pairs with equal second
    texts."""
    import numpy as np

    from kepipe.data.batch import Batch
    from kepipe.objectives.losses import tensor

    if rows.row_labels is None:
        raise ValueError("these rows are no pairs: the objective makes rows of its own")
    pooled_BT = rows.documents > 0 if rows.token_labels is None else rows.token_labels >= 0
    if pooling == "first":
        pooled_BT = pooled_BT & (np.cumsum(pooled_BT, 1) == 1)
    second_BT = rows.tokens[rows.row_labels == 1]
    same_P = np.unique(second_BT, axis=0, return_inverse=True)[1].reshape(-1)
    places_N = np.flatnonzero(pooled_BT)
    extra = {
        "pooled_places": tensor(places_N),
        "pooled_rows": tensor(places_N // rows.tokens.shape[1]),
        "members": tensor(rows.row_labels),
        "same": tensor(same_P),
    }
    return Batch(tokens=tensor(rows.tokens), documents=tensor(rows.documents), extra=extra)


def paired(text: Text, members: Sequence[Member]) -> PairedBatches:
    """Batches of members. Raises ValueError if there is no pair."""
    from kepipe.data.paired_rows import PairedBatches
    from kepipe.data.row_batches import SpecialTokens

    special_tokens = SpecialTokens(text.tokenizer.pad, text.tokenizer.cls, text.tokenizer.sep)
    return PairedBatches(tuple(members), special_tokens, text.shape, text.entity_ids)


def text_rows(
    file: Path, documents: Sequence[Document], tokenizer: Tokenizer, length: int
) -> tuple[Shard, Examples]:
    """Texts as an in-memory shard, one row each."""
    import numpy as np

    from kepipe.data.alignment import tokenise
    from kepipe.data.paired_rows import plan_ranges
    from kepipe.data.shards import Shard

    columns = tokenise(documents, tokenizer, lambda _: -1)
    shard = Shard(file, columns.tokens, columns.bounds, np.full(len(columns.tokens), -1, np.int32))
    ends = np.cumsum(columns.documents)
    return shard, plan_ranges(ends - columns.documents, ends, length)
