"""Rows' descriptors: packed documents, K-BERT's branches."""

from __future__ import annotations

import torch
from torch import Tensor


def packed(rows: int, tokens: int) -> Tensor:
    """Three documents in a row, int [rows, tokens], and a tenth of padding in the last row."""
    documents_T = 1 + 3 * torch.arange(tokens) // tokens
    documents_BT = documents_T.expand(rows, -1).clone()
    documents_BT[-1, -max(1, tokens // 10) :] = 0
    return documents_BT


def branches(rows: int, tokens: int, every: int = 16, size: int = 4) -> tuple[Tensor, Tensor]:
    """`branch` and `mention`, int [rows, tokens] each: of each `every` places the last `size` are a triple that hangs
    from the place before them."""
    at_T = torch.arange(tokens)
    group_T, place_T = at_T // every + 1, at_T % every
    hangs_T = place_T >= every - size
    branch_T = torch.where(hangs_T, group_T, 0)
    mention_T = torch.where(hangs_T | (place_T == every - size - 1), group_T, 0)
    return branch_T.expand(rows, -1).contiguous(), mention_T.expand(rows, -1).contiguous()
