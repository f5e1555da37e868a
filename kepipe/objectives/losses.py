"""What criteria are made of."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from kepipe.data.batch import Batch


class TokenModel(Protocol):
    """A model that says which tokens stand at places."""

    def __call__(self, batch: Batch, positions_N: Tensor | None = None) -> Tensor:
        """Hidden states [N, D] at these places among the B·T of the side that predicts."""
        ...

    def token_loss(self, hidden_ND: Tensor, labels_N: Tensor) -> Tensor:
        """The sum over the places of −ln p(label)."""
        ...


class PairModel(TokenModel, Protocol):
    """One that also judges rows of two segments."""

    def next_sentence(self, hidden_BTD: Tensor) -> Tensor:
        """Logits [B, 2]; column 1 says that the label is 1."""
        ...


def tensor(values: npt.NDArray[Any]) -> Tensor:
    """The values as an int64 tensor."""
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.int64))


def gather_hidden(model: TokenModel, batch: Batch, *positions: Tensor | None) -> tuple[Tensor, ...]:
    """Hidden states [N, D] at each list of places among the batch's B·T; none for None.

    All that a loss reads is asked for here at once, so that the model need not work out the rest.
    """
    given = [batch.tokens.new_zeros(0) if these is None else these for these in positions]
    return torch.split(model(batch, torch.cat(given)), [len(these) for these in given])


def first_positions(batch: Batch) -> Tensor | None:
    """Each row's first place, int [B], where the rows have a label; else None."""
    rows, length = batch.tokens.shape
    labelled = batch.next_sentence_labels is not None
    return length * torch.arange(rows, device=batch.tokens.device) if labelled else None


def token_loss(model: TokenModel, hidden_ND: Tensor, batch: Batch) -> Tensor:
    """Mean negative log-likelihood of `batch.labels`, from the hidden states at `batch.label_positions`; 0 where there
    are none."""
    assert batch.labels is not None
    return model.token_loss(hidden_ND, batch.labels) / max(1, len(batch.labels))


def next_sentence_loss(model: PairModel, first_BD: Tensor, batch: Batch) -> Tensor:
    """Mean negative log-likelihood of `batch.next_sentence_labels`, from the hidden states at `first_positions` (Devlin
    et al. 2019, §3.1, task 2)."""
    assert batch.next_sentence_labels is not None
    return F.cross_entropy(model.next_sentence(first_BD[:, None]), batch.next_sentence_labels)
