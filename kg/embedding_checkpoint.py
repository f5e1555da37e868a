"""Checkpoints of PyKEEN's training as one safetensors file: PyKEEN's own checkpoints use pickle.

Tensors are stored as tensors; everything else (epochs, losses, optimizer settings, generator states) as JSON in the
file's metadata.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kg.early_stopping import BestSoFar

_STATE = "state"


def save(file: Path, loop: Any, best: BestSoFar) -> None:
    """Write the state of a `TrainingLoop` and of early stopping atomically: a kill leaves the previous file."""
    import torch
    from safetensors.torch import save_file

    optimizer, kept = loop.optimizer.state_dict(), best.state()
    name, keys_624, *rest = np.random.get_state()
    tensors = {f"model/{name}": tensor for name, tensor in loop.model.state_dict().items()}
    tensors |= {f"best/{name}": tensor for name, tensor in (kept.weights or {}).items()}
    values = {
        f"{row}/{name}": value for row, entry in optimizer["state"].items() for name, value in entry.items()
    }
    numbers = {place: value for place, value in values.items() if isinstance(value, int)}
    tensors |= {f"optimizer/{place}": value for place, value in values.items() if place not in numbers}
    tensors |= {
        "random/numpy": torch.from_numpy(np.asarray(keys_624, np.int64)),
        "random/torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        tensors["random/cuda"] = torch.cuda.get_rng_state()
    state = {
        "checksum": loop.checksum,
        "epoch": loop._epoch,
        "losses": loop.losses_per_epochs,
        "groups": optimizer["param_groups"],
        "numbers": numbers,
        "scores": kept.scores,
        "random": {"python": random.getstate(), "numpy": [name, *rest]},
    }
    unfinished = file.with_suffix(".partial")
    save_file(dict(_detached(tensors)), unfinished, metadata={_STATE: json.dumps(state)})
    unfinished.replace(file)


def load(file: Path, loop: Any, best: BestSoFar) -> bool:
    """Restore the state of a `TrainingLoop` and of early stopping from `save`. False, without changes, if there is no
    checkpoint of this training."""
    import torch
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as stored:
            state = json.loads((stored.metadata() or {}).get(_STATE, "{}"))
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118, it is no mapping
    except (FileNotFoundError, SafetensorError, ValueError, RecursionError):
        return False
    if state.get("checksum") != loop.checksum:
        return False

    loop._epoch, loop.losses_per_epochs = state["epoch"], state["losses"]
    loop.model.load_state_dict(_under(tensors, "model/"))
    entries: dict[int, dict[str, Any]] = {}
    for name, value in {**_under(tensors, "optimizer/"), **state.get("numbers", {})}.items():
        row, _, key = name.partition("/")
        entries.setdefault(int(row), {})[key] = value
    # JSON has no tuples, but the checksum expects Adam's betas as one.
    groups = [
        {
            key: tuple(value) if isinstance(value, list) and key != "params" else value
            for key, value in group.items()
        }
        for group in state["groups"]
    ]
    loop.optimizer.load_state_dict({"state": entries, "param_groups": groups})
    best.resume(BestSoFar.State(state["scores"], _under(tensors, "best/") or None))
    version, words, gauss = state["random"]["python"]
    random.setstate((version, tuple(words), gauss))
    name, *rest = state["random"]["numpy"]
    np.random.set_state((name, tensors["random/numpy"].numpy().astype(np.uint32), *rest))
    torch.set_rng_state(tensors["random/torch"])
    if "random/cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["random/cuda"])
    return True


def _under(tensors: Mapping[str, Any], place: str) -> dict[str, Any]:
    return {name.removeprefix(place): tensor for name, tensor in tensors.items() if name.startswith(place)}


def _detached(tensors: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The tensors on the CPU, without shared memory, as safetensors requires."""
    taken: set[int] = set()
    for name, tensor in tensors.items():
        alone = tensor.detach().cpu().contiguous()
        if alone.data_ptr() in taken:
            alone = alone.clone()
        taken.add(alone.data_ptr())
        yield name, alone
