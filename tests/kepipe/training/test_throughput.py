"""What a training tells of its speed: the model never waits for its data, and the share of the machine is a share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kepipe.data.batch_sampler import BatchSampler
from kepipe.data.formats import plan
from kepipe.data.row_batches import RowBatches, RowShape, SpecialTokens
from kepipe.models.base import Base, build
from kepipe.objectives import table
from tests.support.rows import CLS, PAD, SEP, TOKENIZER
from tests.support.shards import random_documents, write_shard
from tests.support.toy_training import Ear, context_in, fit, settings

TOKENS = 4096


@pytest.mark.parametrize(
    ("family", "objective"), [("bert", {"name": "mlm", "level": "word"}), ("bart", "denoising")]
)
def test_the_model_waits_for_less_than_three_percent_of_a_step(
    family: Any, objective: Any, tmp_path: Path
) -> None:
    shard = write_shard(tmp_path / "shard", random_documents(np.random.default_rng(0), 30))
    examples = plan(shard, "doc-sentences", 64)
    batches = RowBatches(
        shard,
        examples,
        BatchSampler(examples.lengths, TOKENS, 0),
        SpecialTokens(PAD, CLS, SEP),
        RowShape(64, TOKENS, begin=True, seed=0),
    )
    sizes = {"layers": 2, "hidden": 128, "heads": 2, "positions": 80}
    model = build(Base(family=family, **sizes), 10 + len(shard), 0)
    ear = Ear()
    fit(
        model, table.build(table.read(objective), TOKENIZER), batches.__getitem__,
        settings(steps=6, log_every=1, batch_tokens=TOKENS), context_in(tmp_path, ear),
    )  # fmt: skip
    told = {
        name: list(ear.metric(name).values())
        for name in ("data_wait_share", "tokens_per_second", "model_flops_utilisation")
    }
    assert all(len(values) == 6 for values in told.values())
    assert np.median(told["data_wait_share"]) < 0.03
    assert min(told["tokens_per_second"]) > 0
    assert 0 < np.median(told["model_flops_utilisation"]) < 1
