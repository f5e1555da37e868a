"""What the losses are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from kepipe.batch import Batch

if TYPE_CHECKING:
    from kepipe.models.transformer import Transformer


def tensor(values: npt.NDArray[Any]) -> Tensor:
    """The values as an int64 tensor."""
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.int64))


def restoration_loss(model: Transformer, hidden_BTD: Tensor, batch: Batch) -> Tensor:
    """Mean negative log-likelihood of `batch.labels` at `batch.selected`; 0 where nothing is selected.

    The vocabulary layer, which costs as much as several layers, is computed at the selected places alone.
    """
    assert batch.selected is not None
    assert batch.labels is not None
    # index_select: on a CPU its backward pass is far faster than that of hidden[selected].
    hidden_ND = hidden_BTD.flatten(0, 1).index_select(0, batch.selected)
    return model.restoration_loss(hidden_ND, batch.labels) / max(1, len(batch.labels))


def next_sentence_loss(model: Transformer, hidden_BTD: Tensor, batch: Batch) -> Tensor:
    """Mean negative log-likelihood of `batch.follows` (Devlin et al. 2019, §3.1, task 2)."""
    assert batch.follows is not None
    return F.cross_entropy(model.next_sentence(hidden_BTD), batch.follows)
