"""An estimate of the batch size that fits into a device's memory."""

from __future__ import annotations

PER_WEIGHT = 16
"""Bytes per weight: the weight, its gradient and AdamW's two moments, fp32 each."""
PER_STATE = 34
"""Bytes per token and unit of width that a layer keeps for the backward pass, in 16 bits, with an attention kernel that
does not store scores (Korthikanti et al. 2022, §4.1, eq. 1 without the term of the scores)."""
ROOM = 0.7
"""Share of the memory that is used; the rest is for logits, buffers, fragmentation."""


def fitting_tokens(memory: int, layers: int, hidden: int, vocabulary: int) -> int:
    """Tokens per batch, rounded down to thousands, with which an encoder of this size can be trained in `memory` bytes;
    0 if not a thousand fit. With `gradient_checkpointing` several times as many fit."""
    weights = 12 * layers * hidden**2 + vocabulary * hidden
    left = ROOM * memory - PER_WEIGHT * weights
    return max(0, int(left // (PER_STATE * layers * hidden) // 1000 * 1000))
