"""Collator and loss of `bidirectional-lm`: half of the rows are read left to right, the others right to left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from kepipe.arrays import Bools, Ints
from kepipe.data.batch import Batch, TokenRows
from kepipe.data.stream_batches import reversed_positions, turned
from kepipe.objectives.losses import HiddenCriterion, TokenModel, tensor
from kepipe.training.criterion import Losses


class ReadsWords(Protocol):
    """How a tokenizer spells words (`kepipe.models.elmo.spelling.Spelling`)."""

    def continues(self, tokens_BT: Ints) -> Bools:
        """Which tokens continue the word of the token to their left, bool [B, T]."""
        ...


@dataclass(frozen=True)
class BidirectionalCollator:
    """A `Collator`. `begin`, `end`: the tokens around a text.

    A row that is not part of a stream is read in both directions; of streams, half are read from the right already
    (`TokenRows.from_right`). The label at a word is the first token of the next word in reading order. The end token is
    predicted left to right, the begin token right to left; nothing is predicted across a boundary between texts.
    """

    spelling: ReadsWords
    begin: int
    end: int

    def __call__(self, rows: TokenRows, _rng: np.random.Generator, _progress: float) -> Batch:
        """See `Collator`."""
        rows = rows if rows.from_right is not None else in_both_directions(rows)
        tokens, documents, from_right_B = rows.tokens, rows.documents, rows.from_right
        assert from_right_B is not None
        place_BT = reversed_positions(documents, from_right_B)
        in_text_BT = np.take_along_axis(tokens, place_BT, 1)
        continues_BT = np.take_along_axis(self.spelling.continues(in_text_BT), place_BT, 1)
        from_right_B1 = from_right_B[:, None]
        word_ends_BT = ~np.where(from_right_B1, continues_BT, np.roll(continues_BT, -1, 1))
        next_BT = np.roll(tokens, -1, 1)
        writes_BT = np.zeros(tokens.shape, np.bool_)
        writes_BT[:, :-1] = (documents[:, 1:] == documents[:, :-1]) & (documents[:, 1:] > 0)
        writes_BT &= word_ends_BT & (next_BT != np.where(from_right_B1, self.end, self.begin))
        return Batch(
            tokens=tensor(tokens),
            documents=tensor(documents),
            label_positions=tensor(np.flatnonzero(writes_BT)),
            labels=tensor(next_BT[writes_BT]),
            from_right=torch.from_numpy(from_right_B.copy()),
        )


def in_both_directions(rows: TokenRows) -> TokenRows:
    """The rows, followed by the same rows reversed."""
    other = turned(rows, np.ones(len(rows.tokens), np.bool_))
    both: dict[str, Any] = {
        name: np.concatenate([getattr(rows, name), getattr(other, name)]) for name in ("tokens", "documents")
    }
    return replace(rows, **both, from_right=np.repeat([False, True], len(rows.tokens)))


class BidirectionalLoss(HiddenCriterion):
    """Term `lm`: mean −ln p of a word over both directions. Metrics `forward`, `backward`: of each direction. The model
    is given the labels on the CPU, where it sorts them into classes of words."""

    @property
    def terms(self) -> tuple[str, ...]:
        """See `Criterion`."""
        return ("lm",)

    @property
    def metrics(self) -> tuple[str, ...]:
        """See `Criterion`."""
        return ("forward", "backward")

    def counts(self, batch: Batch) -> Mapping[str, int]:
        """See `Criterion`."""
        forward, backward = (len(places) for places in self.positions(batch))
        return {"lm": forward + backward, "forward": forward, "backward": backward}

    def positions(self, batch: Batch) -> tuple[Tensor, ...]:
        """See `HiddenCriterion`: forward, then backward."""
        assert batch.label_positions is not None
        from_right_N = _from_right(batch)
        return batch.label_positions[~from_right_N], batch.label_positions[from_right_N]

    def losses(self, model: TokenModel, hidden: tuple[Tensor, ...], batch: Batch) -> Losses:
        """See `HiddenCriterion`."""
        assert batch.labels is not None
        labels_N, from_right_N = batch.host.labels, _from_right(batch.host)
        assert labels_N is not None
        labels = [labels_N[these_N] for these_N in (~from_right_N, from_right_N)]
        sums = [model.token_loss(*pair) for pair in zip(hidden, labels, strict=True)]
        counts = [max(1, len(these)) for these in labels]
        return {
            "lm": (sums[0] + sums[1]) / max(1, len(batch.labels)),
            "forward": sums[0] / counts[0],
            "backward": sums[1] / counts[1],
        }


def _from_right(batch: Batch) -> Tensor:
    """Which labels are predicted right to left, bool [N]."""
    assert batch.from_right is not None
    assert batch.label_positions is not None
    return batch.from_right[batch.label_positions // batch.tokens.shape[1]]
