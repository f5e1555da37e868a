"""What the losses are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from kepipe.data.batch import Batch

if TYPE_CHECKING:
    from kepipe.models.transformer import Transformer


def tensor(values: npt.NDArray[Any]) -> Tensor:
    """The values as an int64 tensor."""
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.int64))


def gather_hidden(model: Transformer, batch: Batch, *places: Tensor | None) -> tuple[Tensor, ...]:
    """Hidden states [N, D] at each list of places among the batch's B·T; none for None.

    All that a loss reads is asked for here at once, so that the model need not work out the rest.
    """
    given = [batch.tokens.new_zeros(0) if these is None else these for these in places]
    return torch.split(model(batch, torch.cat(given)), [len(these) for these in given])


def first_places(batch: Batch) -> Tensor | None:
    """Each row's first place, int [B], where the rows have a label; else None."""
    rows, length = batch.tokens.shape
    return (
        None
        if batch.next_sentence_labels is None
        else length * torch.arange(rows, device=batch.tokens.device)
    )


def token_loss(model: Transformer, hidden_ND: Tensor, batch: Batch) -> Tensor:
    """Mean negative log-likelihood of `batch.labels`, from the hidden states at `batch.label_positions`; 0 where nothing is
    selected."""
    assert batch.labels is not None
    return model.token_loss(hidden_ND, batch.labels) / max(1, len(batch.labels))


def next_sentence_loss(model: Transformer, first_BD: Tensor, batch: Batch) -> Tensor:
    """Mean negative log-likelihood of `batch.next_sentence_labels`, from the hidden states at `first_places` (Devlin et al. 2019,
    §3.1, task 2)."""
    assert batch.next_sentence_labels is not None
    return F.cross_entropy(model.next_sentence(first_BD[:, None]), batch.next_sentence_labels)
