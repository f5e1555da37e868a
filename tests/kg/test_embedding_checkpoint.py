"""A checkpoint of vectors: tensors and plain values; anything else is ignored and not executed.

`test_embedding.py` tests that training continues from it to the same bytes.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from kg import embedding_checkpoint
from kg.early_stopping import BestSoFar


def loop(checksum: str = "a") -> Any:
    """The parts of a PyKEEN training loop that a checkpoint has, after one step."""
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return SimpleNamespace(
        model=model, optimizer=optimizer, checksum=checksum, _epoch=4, losses_per_epochs=[0.1 + 0.2, 1e-300]
    )


class Touch:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.mark,)


def test_a_checkpoint_round_trips(tmp_path: Path) -> None:
    trained, best, file = loop(), BestSoFar(2), tmp_path / "c.safetensors"
    best.add(0.5, trained.model)
    embedding_checkpoint.save(file, trained, best)
    expected = (np.random.rand(3).tolist(), torch.rand(3).tolist())
    fresh, other = loop(), BestSoFar(2)
    fresh._epoch, fresh.losses_per_epochs = 0, []
    fresh.model.weight.data.zero_()
    fresh.optimizer.param_groups[0]["lr"] = 9.0
    assert embedding_checkpoint.load(file, fresh, other)
    assert (np.random.rand(3).tolist(), torch.rand(3).tolist()) == expected
    assert (fresh._epoch, fresh.losses_per_epochs) == (4, [0.1 + 0.2, 1e-300])
    assert torch.equal(fresh.model.weight, trained.model.weight)
    assert str(fresh.optimizer) == str(trained.optimizer)
    for ours, theirs in zip(fresh.optimizer.state.values(), trained.optimizer.state.values(), strict=True):
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert other.state().scores == [0.5]
    assert [path.name for path in tmp_path.iterdir()] == ["c.safetensors"]


@pytest.mark.parametrize("content", ["pickle", "torch", "cut", "empty", "other", "none"])
def test_a_file_that_is_no_checkpoint_of_this_training_is_ignored(tmp_path: Path, content: str) -> None:
    mark, file, trained = tmp_path / "ran", tmp_path / "c.safetensors", loop()
    if content == "pickle":
        file.write_bytes(pickle.dumps(Touch(mark)))
    elif content == "torch":
        torch.save({"epoch": Touch(mark)}, file)
    elif content != "none":
        embedding_checkpoint.save(file, loop("b" if content == "other" else "a"), BestSoFar(0))
        file.write_bytes(file.read_bytes()[: {"cut": 400, "empty": 0}.get(content)])
    before = trained.model.weight.clone()
    assert not embedding_checkpoint.load(file, trained, BestSoFar(0))
    assert not mark.exists()
    assert torch.equal(trained.model.weight, before)
