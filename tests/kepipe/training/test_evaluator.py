"""Training loop and evaluator with a model that is no transformer: a table of bigrams."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from kepipe.data.batch import Batch
from kepipe.training.distributed import LossModule, make_accelerator
from kepipe.training.evaluator import HeldOutLoss
from kepipe.training.loop import train
from tests.support.bigrams import Bigrams, NextToken
from tests.support.toy_training import EventRecorder, context_in, settings

VOCABULARY, COUNT = 6, 4
FOLLOWS = np.array([[1, 1, 2], [2, 3, 3], [4, 4, 4], [0, 0, 5], [5, 5, 5], [0, 1, 2]])
"""Token → its possible successors, equally likely."""


def batch(number: int, share: float = 0.0) -> Batch:
    """Rows of a Markov chain, of unequal lengths: batch `number` modulo `COUNT`."""
    rng = np.random.default_rng(number % COUNT)
    lengths = rng.integers(2, 13, 4 + number % COUNT)
    tokens = np.zeros((len(lengths), 12), np.int64)
    for place in range(1, 12):
        tokens[:, place] = FOLLOWS[tokens[:, place - 1], rng.integers(0, 3, len(lengths))]
    documents = np.arange(12) < lengths[:, None]
    return Batch(torch.from_numpy(tokens * documents), torch.from_numpy(documents.astype(np.int64)))


def measured(model: Bigrams, batches: list[Batch]) -> dict[str, float]:
    return HeldOutLoss(NextToken(), batches).evaluate(make_accelerator("fp32", "cpu"), LossModule(model))


def test_held_out_loss_weights_batches_by_their_tokens() -> None:
    batches, model = [batch(number) for number in range(COUNT)], Bigrams(VOCABULARY)
    assert measured(model, batches)["held_out_loss"] == pytest.approx(math.log(VOCABULARY))
    model.count(batches)
    pairs = [
        (int(row[at - 1]), int(row[at]))
        for one in batches
        for row, there in zip(one.tokens, one.documents, strict=True)
        for at in range(1, int(there.sum()))
    ]
    counts = {first: [pair[1] for pair in pairs if pair[0] == first] for first, _ in pairs}
    loss = -sum(math.log(counts[a].count(b) / len(counts[a])) for a, b in pairs) / len(pairs)
    metrics = measured(model, batches)
    assert metrics["held_out_loss"] == pytest.approx(loss, rel=1e-4)
    best = {first: max(map(its.count, its)) for first, its in counts.items()}
    assert metrics["held_out_accuracy"] == pytest.approx(sum(best.values()) / len(pairs))
    assert set(metrics) == {"held_out_loss", "held_out_accuracy"}


def test_batch_without_labels_is_not_evaluated() -> None:
    empty = Batch(torch.zeros(2, 3, dtype=torch.long), torch.zeros(2, 3, dtype=torch.long))
    assert measured(Bigrams(VOCABULARY), [empty]) == {}
    with_others = measured(Bigrams(VOCABULARY), [empty, batch(0)])
    assert with_others == measured(Bigrams(VOCABULARY), [batch(0)])


def test_bigram_model_trains_to_the_counted_optimum(tmp_path: Path) -> None:
    """Trained by the loop, with parts of an update, held-out measurements and the best weights."""
    batches = [batch(number) for number in range(COUNT)]
    counted, model, recorder = Bigrams(VOCABULARY), Bigrams(VOCABULARY), EventRecorder()
    counted.count(batches)
    whole = settings(
        steps=150, accumulate=COUNT, learning_rate=0.2, weight_decay=0.0, eval_every=50, checkpoint_every=50,
        log_every=50, final="best",
    )  # fmt: skip
    context = context_in(tmp_path, recorder)
    state = train(model, batch, NextToken(), whole, context, HeldOutLoss(NextToken(), batches))
    best = measured(counted, batches)["held_out_loss"]
    assert best - 1e-4 < state.latest < best + 0.02
    assert recorder.metric("loss")[150] == pytest.approx(state.latest, abs=0.05)
    assert recorder.metric("held_out_accuracy")[150] == pytest.approx(recorder.metric("accuracy")[150])
    assert min(recorder.metric("tokens_per_second").values()) > 0
    stored = load_file(context.scratch / f"checkpoints/step-{state.best_step:08d}/weights.safetensors")
    assert torch.equal(stored["rows"], model.rows)


def test_bigram_training_resumes_bit_identically(tmp_path: Path) -> None:
    def stopping(number: int, share: float) -> Batch:
        if number > 6:
            raise KeyboardInterrupt
        return batch(number)

    whole, again = Bigrams(VOCABULARY), Bigrams(VOCABULARY)
    train(whole, batch, NextToken(), settings(), context_in(tmp_path / "whole"))
    with pytest.raises(KeyboardInterrupt):
        train(Bigrams(VOCABULARY), stopping, NextToken(), settings(), context_in(tmp_path / "cut"))
    train(again, batch, NextToken(), settings(), context_in(tmp_path / "cut"))
    assert torch.equal(whole.rows, again.rows)


@pytest.mark.parametrize("setting", ["gradient_checkpointing", "flex_attention"])
def test_setting_not_implemented_for_a_model_is_rejected(tmp_path: Path, setting: str) -> None:
    with pytest.raises(ValueError, match=f"{setting}: not implemented for Bigrams: leave it out"):
        train(Bigrams(VOCABULARY), batch, NextToken(), settings(**{setting: True}), context_in(tmp_path))
