"""How many tokens fit into a device's memory, computed by hand."""

from __future__ import annotations

from kepipe.training.batch_size import fitting_tokens


def test_memory_beside_weights_limits_tokens_per_batch() -> None:
    """BERT-base: 108 million weights of 16 bytes, 34 · 12 · 768 bytes a token."""
    weights = 12 * 12 * 768**2 + 30_000 * 768
    assert weights == 107_974_656
    memory = (16 * weights + 5_400 * 34 * 12 * 768) / 0.7
    assert fitting_tokens(int(memory) + 10, 12, 768, 30_000) == 5_000
    assert fitting_tokens(2**30, 12, 768, 30_000) == 0
