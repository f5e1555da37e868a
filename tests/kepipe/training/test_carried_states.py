"""States carried from batch to batch: they belong to a stream, are reset with it, and are checkpointed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from kepipe.data.batch import Batch, TokenRows
from kepipe.training.carried_states import CarriedStates
from tests.support.stateful_lstm import NEXT, StatefulLSTM, rows
from tests.support.toy_training import (
    LENGTH,
    VOCABULARY,
    EventRecorder,
    context_in,
    fit,
    held_out_loss,
    settings,
)


class Stop(Exception):
    """Simulates a killed process."""


def shuffled(number: int) -> TokenRows:
    return replace(rows(number), continues=None)


def weights(model: nn.Module) -> Tensor:
    return torch.cat([value.detach().ravel() for value in model.parameters()])


def test_interrupted_training_with_carried_states_resumes_bit_identically(tmp_path: Path) -> None:
    """Two micro-batches per update, so two sets of streams; held-out evaluation has its own states."""

    def stopping(number: int) -> TokenRows:
        if number > 12:
            raise Stop
        return rows(number)

    how, evaluator = settings(accumulate=2, eval_every=3), held_out_loss(NEXT, rows, 4)
    whole, cut, without = StatefulLSTM(), StatefulLSTM(), StatefulLSTM()
    fit(whole, NEXT, rows, how, context_in(tmp_path / "whole"), evaluator)
    recorder = EventRecorder()
    context = context_in(tmp_path / "cut", recorder)
    with suppress(Stop):
        fit(cut, NEXT, stopping, how, context, evaluator)
    saved = load_file(context.scratch / "checkpoints" / "step-00000004" / "carried.safetensors")
    assert saved.keys() == {"0.h", "0.c", "1.h", "1.c"}
    assert not torch.equal(weights(cut), weights(whole))
    again = StatefulLSTM()
    fit(again, NEXT, rows, how, context, evaluator)
    assert "continuing after step 4" in recorder.notes()
    assert torch.equal(weights(again), weights(whole))
    fit(without, NEXT, shuffled, how, context_in(tmp_path / "without"), evaluator)
    assert not torch.equal(weights(without), weights(whole))


def test_stream_rows_give_the_outputs_of_the_whole_text() -> None:
    """Row by row with carried states, an LSTM gives the output of a single pass over the whole text."""
    model, carried = StatefulLSTM(), CarriedStates()
    texts = torch.randint(2, VOCABULARY, (4, 3 * LENGTH), generator=torch.Generator().manual_seed(0))
    pieces = []
    for number, piece_BT in enumerate(texts.split(LENGTH, 1)):
        batch = Batch(piece_BT, torch.ones_like(piece_BT), continues=torch.full((4,), number > 0))
        pieces.append(model(carried.attach(batch), torch.arange(4 * LENGTH)).reshape(4, LENGTH, -1))
    at_once = model(Batch(texts, torch.ones_like(texts)), torch.arange(12 * LENGTH)).reshape(
        4, 3 * LENGTH, -1
    )
    torch.testing.assert_close(torch.cat(pieces, 1), at_once)


def test_carried_states_are_zeroed_for_new_rows_and_dropped_for_ended_streams() -> None:
    carried = CarriedStates()
    tokens = torch.zeros(3, 2, dtype=torch.long)
    first = carried.attach(Batch(tokens, tokens + 1, continues=torch.zeros(3, dtype=torch.bool)))
    assert first.state == {}
    first.state["seen"] = torch.tensor([[1.0], [2.0], [3.0]], requires_grad=True)
    other = carried.attach(Batch(tokens, tokens + 1, continues=torch.zeros(3, dtype=torch.bool), stream=1))
    assert other.state == {}
    second = carried.attach(Batch(tokens[:2], tokens[:2] + 1, continues=torch.tensor([True, False])))
    assert second.state is not None
    assert second.state["seen"].tolist() == [[1.0], [0.0]]
    assert not second.state["seen"].requires_grad


def test_batch_that_continues_an_unknown_stream_is_rejected() -> None:
    tokens = torch.zeros(1, 2, dtype=torch.long)
    with pytest.raises(ValueError, match="stream 0"):
        CarriedStates().attach(Batch(tokens, tokens + 1, continues=torch.tensor([True])))
