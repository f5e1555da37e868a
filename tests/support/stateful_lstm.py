"""A language model that passes its state from batch to batch of streams of random text, for tests of training."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from kepipe.data.batch import Batch, TokenRows
from kepipe.data.stream_sampler import StreamSampler
from kepipe.models.protocols import TrainableModel
from kepipe.objectives.base import Objective
from kepipe.objectives.losses import TokenLoss, tensor
from tests.support.toy_training import LENGTH, VOCABULARY

SAMPLER = StreamSampler(np.arange(60) % 7 > 0, 4, 0, parts=2)


class StatefulLSTM(TrainableModel):
    """An LSTM that starts with the last state of its stream."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.tokens = nn.Embedding(VOCABULARY, 8)
        self.lstm = nn.LSTM(8, 8, batch_first=True)
        self.head = nn.Linear(8, VOCABULARY)

    def forward(self, batch: Batch, places_N: Tensor) -> Tensor:
        state = batch.state or {}
        before = (state["h"].transpose(0, 1), state["c"].transpose(0, 1)) if state else None
        hidden_BTD, (h, c) = self.lstm(self.tokens(batch.tokens), before)
        if batch.state is not None:
            batch.state.update(h=h.transpose(0, 1), c=c.transpose(0, 1))
        return hidden_BTD.flatten(0, 1)[places_N]

    def token_loss(self, hidden_ND: Tensor, labels_N: Tensor) -> Tensor:
        return nn.functional.cross_entropy(self.head(hidden_ND), labels_N, reduction="sum")


def rows(number: int) -> TokenRows:
    found = SAMPLER.rows(number)
    tokens = np.stack([np.random.default_rng(e).integers(2, VOCABULARY, LENGTH) for e in found.examples])
    zeros = np.zeros_like(tokens)
    return TokenRows(
        tokens, zeros, zeros + 1, zeros > 0, {}, zeros - 1, zeros,
        continues=found.continues, stream=SAMPLER.part(number),
    )  # fmt: skip


def next_token(rows: TokenRows, _rng: np.random.Generator, _progress: float) -> Batch:
    places = np.flatnonzero(np.arange(rows.tokens.size) % LENGTH < LENGTH - 1)
    return Batch(
        tensor(rows.tokens),
        tensor(rows.documents),
        label_positions=tensor(places),
        labels=tensor(rows.tokens.ravel()[places + 1]),
    )


NEXT = Objective(next_token, TokenLoss("lm"))
