"""Shared by the objectives that classify rows or tokens on rows of their own (Sun et al. 2020, "ERNIE 2.0", §4.2):
settings, collators, the loss, and the text that rows are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kepipe.config import UserPath, runtime_only
from kepipe.objectives.settings import ObjectiveSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from kepipe.arrays import Ints
    from kepipe.data.batch import Batch, TokenRows
    from kepipe.data.examples import Examples
    from kepipe.data.labelled_rows import LabelledBatches
    from kepipe.data.row_batches import RowShape
    from kepipe.data.shards import Shard
    from kepipe.objectives.base import Objective
    from kepipe.objectives.ernie2.label_loss import LabelLoss
    from kepipe.tokenization.tokenizer import Tokenizer


class Labelling(ObjectiveSettings):
    """Settings of an objective that predicts labels."""

    name: str = ""
    """The row of the table."""
    file: UserPath | None = runtime_only(None)
    """Train on this JSON Lines file instead of the corpus; a tenth of its lines, by a hash of their numbers, is held
    out."""

    def labels(self) -> Sequence[str]:
        """Names of the labels, in the order of their ids. Raises ValueError if a file of labels cannot be read."""
        raise NotImplementedError

    def label_heads(self) -> Mapping[str, int]:
        """See `ObjectiveSettings`: one, by the objective's name."""
        return {self.name: len(self.labels())}

    def files(self) -> tuple[Path, ...]:
        """See `ObjectiveSettings`."""
        return () if self.file is None else (self.file,)


class PairLabelling(Labelling):
    """Settings of an objective that predicts labels of pairs of texts."""

    def num_segments(self, pairs: bool) -> int:  # noqa: ARG002
        """See `ObjectiveSettings`: its own rows are pairs."""
        return 2


@dataclass(frozen=True)
class Text:
    """The text that an objective's own rows are made from. `shape`: length of rows and seed; `evaluation`: whether the
    shard is the held-out one; `entity_ids`: ids of the shard's entities."""

    shard: Shard
    tokenizer: Tokenizer
    shape: RowShape
    evaluation: bool
    entity_ids: Sequence[str] = ()

    def rng(self) -> np.random.Generator:
        """The generator for drawing rows."""
        import numpy as np

        return np.random.default_rng(self.shape.seed)

    def source(self, file: Path | None) -> Shard:
        """The shard, or the texts of `file` if one is given."""
        from kepipe.data.user_rows import text_shard

        return self.shard if file is None else text_shard(file, self.tokenizer, evaluation=self.evaluation)

    def pairs(self, file: Path, labels: Sequence[str]) -> LabelledBatches:
        """Rows of the pairs of a file of the user's."""
        from kepipe.data.user_rows import pair_rows

        shard, examples, numbers = pair_rows(
            file, self.tokenizer, labels, self.shape.length, self.rng(), evaluation=self.evaluation
        )
        return self.batches(shard, examples, row_labels=numbers)

    def batches(
        self,
        shard: Shard,
        examples: Examples,
        *,
        row_labels: Ints | None = None,
        token_labels: Callable[[Ints], Ints] | None = None,
    ) -> LabelledBatches:
        """Examples of a shard, with labels, in batches."""
        from kepipe.data.batch_sampler import BatchSampler
        from kepipe.data.labelled_rows import LabelledBatches
        from kepipe.data.row_batches import RowBatches, SpecialTokens

        special_tokens = SpecialTokens(self.tokenizer.pad, self.tokenizer.cls, self.tokenizer.sep)
        sampler = BatchSampler(examples.lengths, self.shape.tokens, self.shape.seed)
        ids = self.entity_ids if shard is self.shard else ()
        batches = RowBatches(shard, examples, sampler, special_tokens, self.shape, ids)
        return LabelledBatches(batches, row_labels, token_labels)


def build_rows(section: Labelling, _tokenizer: Tokenizer) -> Objective:
    """The objective that predicts a label for each row, at its first token."""
    from kepipe.objectives.base import Objective

    return Objective(_collate_rows, _loss(section, pooled=True))


def build_tokens(section: Labelling, _tokenizer: Tokenizer) -> Objective:
    """The objective that predicts a label for each token that has one."""
    from kepipe.objectives.base import Objective

    return Objective(_collate_tokens, _loss(section, pooled=False))


def _loss(section: Labelling, *, pooled: bool) -> LabelLoss:
    from kepipe.objectives.ernie2.label_loss import LabelLoss

    return LabelLoss(section.name, pooled=pooled)


def _collate_rows(rows: TokenRows, _rng: np.random.Generator, _progress: float) -> Batch:
    import numpy as np

    if rows.row_labels is None:
        raise ValueError("these rows have no labels: the objective makes rows of its own")
    count, length = rows.tokens.shape
    return _batch(rows, length * np.arange(count), rows.row_labels)


def _collate_tokens(rows: TokenRows, _rng: np.random.Generator, _progress: float) -> Batch:
    import numpy as np

    if rows.token_labels is None:
        raise ValueError("these rows have no labels of tokens: the objective makes rows of its own")
    places = np.flatnonzero(rows.token_labels >= 0)
    return _batch(rows, places, rows.token_labels.ravel()[places])


def _batch(rows: TokenRows, places: Ints, labels: Ints) -> Batch:
    """The rows unchanged, with `labels` at `places`."""
    from kepipe.data.batch import Batch
    from kepipe.objectives.losses import tensor

    return Batch(
        tokens=tensor(rows.tokens),
        documents=tensor(rows.documents),
        segments=tensor(rows.segments),
        label_positions=tensor(places),
        labels=tensor(labels),
    )
