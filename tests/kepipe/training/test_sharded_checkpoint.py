"""Sharded checkpoints: written by a group of processes, here of one; complete or not used.

`test_launch.py` has groups of two, and the resuming of each other's checkpoints.
"""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.futures import Future

from kepipe.data.batch import TokenRows
from kepipe.flow.events import Event, Metrics
from kepipe.training import checkpoint, distributed, throughput
from kepipe.training.sharded_checkpoint import ShardWriter
from tests.support.process_groups import group_of_one
from tests.support.stateful_lstm import StatefulLSTM
from tests.support.toy_training import (
    MASKING,
    EventRecorder,
    context_in,
    equal_weights,
    fit,
    settings,
    tiny,
    toy_rows,
)
from tests.support.waiting import TIMEOUT

SHARDED = {"parallel": "fsdp2", "async_checkpoints": True}


@pytest.fixture(scope="module", autouse=True)
def _group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with group_of_one(tmp_path_factory.mktemp("group")):
        yield


@pytest.fixture(autouse=True)
def _one_process_shards_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (distributed, throughput):
        monkeypatch.setattr(module, "is_sharded", lambda _, settings: settings.parallel == "fsdp2")


def stopping_at(number: int) -> Callable[[int], TokenRows]:
    def rows(wanted: int) -> TokenRows:
        if wanted >= number:
            raise KeyboardInterrupt
        return toy_rows(wanted)

    return rows


def test_sharded_training_resumes_bit_identically_sharded_or_not(tmp_path: Path) -> None:
    whole, again, alone = tiny(), tiny(), tiny()
    fit(whole, MASKING, toy_rows, settings(**SHARDED), context_in(tmp_path / "whole"))
    recorder, context = EventRecorder(), context_in(tmp_path / "cut")
    with suppress(KeyboardInterrupt):
        fit(tiny(), MASKING, stopping_at(10), settings(**SHARDED), context)
    newest = next(checkpoint.intact(context.scratch / "checkpoints", pytest.fail))
    assert newest.step == 8
    assert newest.is_sharded
    fit(again, MASKING, toy_rows, settings(**SHARDED), context_in(tmp_path / "cut", recorder))
    assert "continuing after step 8" in recorder.notes()
    assert equal_weights(whole, again)
    fit(alone, MASKING, toy_rows, settings(), context)
    assert equal_weights(whole, alone), "in one process, which has all the weights"
    files = {file.name for file in newest.folder.rglob("*") if file.is_file()}
    assert files == {"state.json", "shard-00001-model-00001-of-00001.safetensors"}


@pytest.mark.parametrize("kind", ["whole", "sharded"])
def test_async_checkpoint_has_the_weights_of_its_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The writer is blocked until two more updates are done, so training must not wait for it."""
    went_on = threading.Event()

    def hear(event: Event) -> None:
        if isinstance(event, Metrics) and (event.step or 0) >= 6:
            went_on.set()

    def held(write: Callable[..., Any]) -> Callable[..., Any]:
        def after(*values: Any) -> Any:
            assert went_on.wait(TIMEOUT)
            return write(*values)

        return after

    monkeypatch.setattr(checkpoint, "save", held(checkpoint.save))
    monkeypatch.setattr(ShardWriter, "write_data", held(ShardWriter.write_data))
    how = settings(**(SHARDED if kind == "sharded" else {"async_checkpoints": True}), log_every=1)
    context = context_in(tmp_path, hear)
    with suppress(KeyboardInterrupt):
        fit(tiny(), MASKING, stopping_at(7), how, context)
    monkeypatch.undo()
    again, whole = tiny(), tiny()
    fit(again, MASKING, toy_rows, settings(), context_in(tmp_path, recorder := EventRecorder()))
    assert "continuing after step 4" in recorder.notes()
    fit(whole, MASKING, toy_rows, settings(), context_in(tmp_path / "whole"))
    assert equal_weights(whole, again)


def failing(writer: ShardWriter, *_: Any) -> Future[Any]:
    (writer.folder / "shard-00001-model-00001-of-00001.safetensors").write_bytes(b"half of it")
    raise OSError("No space left on device")


def test_failed_shard_write_is_reported_and_never_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = context_in(tmp_path)
    with suppress(KeyboardInterrupt):
        fit(tiny(), MASKING, stopping_at(7), settings(**SHARDED), context)
    with monkeypatch.context() as patched:
        patched.setattr(ShardWriter, "write_data", failing)
        with pytest.raises(OSError, match=r"step 8 \(No space.*step-00000004 is intact"):
            fit(tiny(), MASKING, toy_rows, settings(**SHARDED), context)
    root = context.scratch / "checkpoints"
    assert sorted(folder.name for folder in root.iterdir()) == [
        ".step-00000008.shards.unfinished",
        "step-00000004",
    ]
    monkeypatch.setattr(pickle, "load", pytest.fail)
    monkeypatch.setattr(pickle, "loads", pytest.fail)
    monkeypatch.setattr(torch, "load", pytest.fail)
    whole, again = tiny(), tiny()
    fit(again, MASKING, toy_rows, settings(), context_in(tmp_path, recorder := EventRecorder()))
    assert "continuing after step 4" in recorder.notes()
    assert [folder.name for folder in root.iterdir()] == ["step-00000004", "step-00000008"]
    fit(whole, MASKING, toy_rows, settings(), context_in(tmp_path / "whole"))
    assert equal_weights(whole, again)


def test_sharded_checkpoint_of_another_model_is_rejected(tmp_path: Path) -> None:
    context = context_in(tmp_path)
    with suppress(KeyboardInterrupt):
        fit(tiny(), MASKING, stopping_at(6), settings(**SHARDED), context)
    with pytest.raises(ValueError, match="the checkpoint is of another model"):
        fit(StatefulLSTM(), MASKING, toy_rows, settings(), context)
