"""Span masking: text tokens only, the configured share and mean length."""

import numpy as np
import pytest

from kepipe.objectives import table
from tests.support.rows import MASK, TOKENIZER, rows


def test_span_masking_has_the_configured_share_and_mean_length():
    objective = table.build(
        table.read({"name": "span-masking", "mask_prob": 1, "random_prob": 0, "mean_span": 4}), TOKENIZER
    )
    clean = rows(count=64, length=128)
    batch = objective.collate(clean, np.random.default_rng(0), 0.0)
    hidden_BT = batch.tokens.numpy() == MASK
    text_BT = ~clean.special
    assert not hidden_BT[~text_BT].any()
    assert hidden_BT.sum() / text_BT.sum() == pytest.approx(0.15, abs=0.01)
    spans = (np.diff(hidden_BT.astype(int), axis=1, prepend=0) == 1).sum()
    assert hidden_BT.sum() / spans == pytest.approx(4, rel=0.15)
    assert batch.labels.tolist() == clean.tokens[hidden_BT].tolist()
