"""The share of padding in batches, of encoder and decoder together, after corruption.

BART's sources are an exception: how many masks take the place of how many words is drawn anew for each row.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kepipe.data.batch_sampler import BatchSampler
from kepipe.data.formats import FormatName, plan
from kepipe.data.row_batches import RowBatches, RowShape, SpecialTokens
from kepipe.objectives import table
from tests.support.rows import CLS, PAD, SEP, TOKENIZER
from tests.support.shards import random_documents, write_shard


@pytest.mark.parametrize(("objective", "format"), [
    ("mlm", "segment-pair"), ("mlm", "sentence-pair"), ("mlm", "full-sentences"), ("mlm", "doc-sentences"),
    ("causal-lm", "packed"), ("mass", "doc-sentences"),
    ("span-corruption", "doc-sentences"),
])  # fmt: skip
def test_less_than_five_percent_of_an_epoch_is_padding(
    objective: str, format: FormatName, tmp_path: Path
) -> None:
    shard = write_shard(tmp_path, random_documents(np.random.default_rng(0), 2000))
    row, learned = table.TABLE[objective], table.build(table.read(objective), TOKENIZER)
    examples = plan(shard, format, 128, begin=row.begin)
    batches = RowBatches(
        shard,
        examples,
        BatchSampler(examples.lengths, 4096, 0),
        SpecialTokens(PAD, CLS, SEP),
        RowShape(64, 4096, begin=True, seed=0),
    )
    padding = []
    for n in range(batches.per_epoch):
        batch = learned.collate(batches[n], np.random.default_rng(n), 0.0)
        sides = (batch.documents, batch.decoder_documents)
        padding += [side.flatten() == 0 for side in sides if side is not None]
    assert float(np.concatenate(padding).mean()) < 0.05
