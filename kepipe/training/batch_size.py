"""How large a batch a device has room for: an estimate, to begin with."""

from __future__ import annotations

PER_WEIGHT = 16
"""Bytes: a weight, its gradient and AdamW's two memories, fp32 each."""
PER_STATE = 34
"""Bytes that a layer keeps for the backward pass, of each token and unit of width, in 16 bits with a kernel that does
not write its scores out (Korthikanti et al. 2022, §4.1, eq. 1 without the term of the scores)."""
ROOM = 0.7
"""Share that is counted on: the rest is for logits, buffers, fragments."""


def fitting_tokens(memory: int, layers: int, hidden: int, vocabulary: int) -> int:
    """Tokens of an encoder of this size that a device with `memory` bytes can train on at once, in thousands; 0 where
    not a thousand fit. Recomputing activations (`gradient_checkpointing`), several times as many fit."""
    weights = 12 * layers * hidden**2 + vocabulary * hidden
    left = ROOM * memory - PER_WEIGHT * weights
    return max(0, int(left // (PER_STATE * layers * hidden) // 1000 * 1000))
