"""Few shapes of batches, so that layers can be compiled for each of them instead of for any length.

Rows of an objective that shortens or lengthens its source, such as text infilling, are as long as the longest of their
batch: a few tokens more or less each time. Padded to the next of at most eight lengths, they have the same hidden
states and losses, and few shapes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from kepipe.data.batch import Batch

LOOKED_AT = 8
"""Batches by which shapes are judged."""
FEW = 4
"""The most shapes of these batches for which layers are compiled one by one."""

OF_TOKENS = (
    "tokens",
    "documents",
    "segments",
    "positions",
    "prefix",
    "branch",
    "mention",
    "entities",
    "tasks",
)
OF_DECODER = ("decoder_tokens", "decoder_documents", "decoder_positions")

Shape = tuple[int, int, int]


def rounded(length: int) -> int:
    """The next multiple of a sixteenth of the power of two above `length`, at least of 8: 410 → 416, 500 → 512."""
    step = max(8, (1 << max(0, length - 1).bit_length()) // 16)
    return -(-length // step) * step


def padded(batch: Batch) -> Batch:
    """The batch with its rows padded at the right to the next `rounded` length, on the encoder's and the decoder's
    side. Batches of streams, with a teacher's part or with fields of a single objective, which may hold places, are
    returned as they are."""
    if (
        batch.extra
        or batch.teacher is not None
        or batch.continues is not None
        or batch.from_right is not None
    ):
        return batch
    longer = _lengthened(batch, OF_TOKENS, batch.tokens.shape[1])
    if batch.decoder_tokens is None:
        return replace(longer, label_positions=_moved(batch.label_positions, batch.tokens, longer.tokens))
    longer = _lengthened(longer, OF_DECODER, batch.decoder_tokens.shape[1])
    assert longer.decoder_tokens is not None
    places = _moved(batch.label_positions, batch.decoder_tokens, longer.decoder_tokens)
    return replace(longer, label_positions=places)


def shape_of(batch: Batch) -> Shape:
    """Rows, tokens, tokens of the decoder."""
    rows, length = batch.tokens.shape
    return rows, length, 0 if batch.decoder_tokens is None else batch.decoder_tokens.shape[1]


def has_few_shapes(batches: Callable[[int, float], Batch]) -> bool:
    """Whether the first batches, padded, have few shapes: those of packed rows have one. `batches`: as in `train`."""
    return len({shape_of(padded(batches(number, 0.0))) for number in range(LOOKED_AT)}) <= FEW


def _lengthened(batch: Batch, names: tuple[str, ...], length: int) -> Batch:
    more = rounded(length) - length
    values = {name: getattr(batch, name) for name in names}
    longer: dict[str, Any] = {
        name: F.pad(value, (0, more)) for name, value in values.items() if value is not None
    }
    return replace(batch, **longer)


def _moved(places_N: Tensor | None, before_BT: Tensor, after_BT: Tensor) -> Tensor | None:
    """Flat places among the B·T, in rows of another length."""
    if places_N is None:
        return None
    length = before_BT.shape[1]
    return places_N // length * after_BT.shape[1] + places_N % length
