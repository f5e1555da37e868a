"""Throughput metrics of training: logged in each window, with exact shares."""

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
from kepipe.training.expected_hours import RowLengths, training_flops_of
from kepipe.training.metrics import MetricAccumulator
from kepipe.training.microbatches import MicroBatch, PlannedUpdate
from kepipe.training.throughput import Throughput, training_flops
from tests.gpu import cases
from tests.support.rows import CLS, PAD, SEP, TOKENIZER
from tests.support.shards import random_documents, write_shard
from tests.support.toy_training import EventRecorder, context_in, fit, settings

TOKENS = 4096


@pytest.mark.parametrize(
    ("family", "objective"), [("bert", {"name": "mlm", "level": "word"}), ("bart", "denoising")]
)
def test_throughput_is_logged_in_every_window(family: Any, objective: Any, tmp_path: Path) -> None:
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
    recorder = EventRecorder()
    fit(
        model, table.build(table.read(objective), TOKENIZER), batches.__getitem__,
        settings(steps=6, log_every=1, batch_tokens=TOKENS), context_in(tmp_path, recorder),
    )  # fmt: skip
    told = {
        name: list(recorder.metric(name).values())
        for name in ("data_wait_share", "tokens_per_second", "model_flops_utilisation")
    }
    assert all(len(values) == 6 for values in told.values())
    assert all(value > 0 for values in told.values() for value in values)
    assert max(told["data_wait_share"]) < 1


@pytest.mark.parametrize(
    ("family", "objective"), [("gpt2", "causal-lm"), ("t5", "span-corruption"), ("bert", "mlm")]
)
def test_estimated_flops_match_counted_flops(family: Any, objective: str) -> None:
    """FLOPs estimated from sizes against those counted in a pass. BERT's last layer is read at the labels alone."""
    case = cases.case(family, objective, 64)
    model, batch = case.model(96), case.batch()
    rows, length = batch.tokens.shape
    decoder = 0 if batch.decoder_tokens is None else batch.decoder_tokens.shape[1]
    config: Any = model.config
    if not config.encoder_layers:
        length, decoder = 0, length
    assert batch.labels is not None
    estimate = rows * training_flops_of(config, RowLengths(length, decoder, len(batch.labels) / rows))
    counted = training_flops(model, case.objective.criterion, batch)
    assert estimate == pytest.approx(counted, rel=0.1 if family == "bert" else 0.01)


def test_throughput_of_a_window_with_known_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """1,000 tokens of 6 FLOPs in 4 seconds, of which one is data wait, at a peak of 2,000 FLOPs a second."""
    window = MetricAccumulator(("loss",), tokens=1000, waited=1.0, began=10.0)
    monkeypatch.setattr("kepipe.training.metrics.time.perf_counter", lambda: 14.0)
    assert Throughput(flops_per_token=6.0, peak_flops=2000.0).of(window, processes=3) == {
        "tokens_per_second": 3 * 250.0,
        "model_flops_utilisation": 0.75,
        "data_wait_share": 0.25,
    }


def test_data_wait_time_is_accumulated(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([5.0, 7.0])
    monkeypatch.setattr("kepipe.training.metrics.time.perf_counter", lambda: next(now))
    window = MetricAccumulator(("loss",))
    parts: list[MicroBatch] = []
    update = PlannedUpdate(0, range(1), 0.0)
    assert window.wait(iter([(update, parts)])) == (update, parts)
    assert window.waited == 2.0
