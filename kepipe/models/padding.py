"""Token rows of unequal length as one batch, for models that score or continue texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from kepipe.arrays import Ints, pad


def pad_rows(rows: Sequence[Ints], pad_id: int, device: str | torch.device) -> tuple[Tensor, Tensor]:
    """Rows padded at the right, int [B, T], and `documents` as in a `Batch`: 1 on tokens, 0 on padding, int [B, T]."""
    lengths_B = np.array([len(row) for row in rows], np.int64)
    tokens_BT = pad(np.concatenate(rows).astype(np.int64), lengths_B, pad_id)
    documents_BT = (np.arange(tokens_BT.shape[1]) < lengths_B[:, None]).astype(np.int64)
    return torch.from_numpy(tokens_BT).to(device), torch.from_numpy(documents_BT).to(device)
