"""Checkpoints: one folder per step, of safetensors and JSON, written atomically.

A folder is written under another name, synced to disk and renamed; `state.json`, written last, holds the digests of the
tensor files. Nothing is pickled. The weights are in whole files, or in shards (`sharded_checkpoint.py`).
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from kepipe.files import filling, remove, remove_leftovers
from kepipe.flow.artifact import hash_file
from kg.regular_files import read_json

STATE, SHARDS = "state.json", "shards"
Tensors = Mapping[str, Mapping[str, Tensor]]
"""File stem → tensor name → tensor."""


@dataclass(frozen=True)
class Checkpoint:
    """An intact checkpoint on disk. `step`: the number of updates done; `state`: what was stored as JSON; `files`:
    names of its tensor files."""

    folder: Path
    step: int
    state: Mapping[str, Any]
    files: Collection[str]

    @property
    def is_sharded(self) -> bool:
        """Whether weights and optimiser state are in the shards that processes wrote."""
        return any(name.startswith(f"{SHARDS}/") for name in self.files)

    def tensors(self, name: str) -> dict[str, Tensor]:
        """The tensors of a file; {} if none were saved."""
        file = self.folder / f"{name}.safetensors"
        loaded: dict[str, Tensor] = load_file(file) if file.name in self.files else {}
        return loaded


def save(root: Path, step: int, tensors: Tensors, state: Mapping[str, Any]) -> Checkpoint:
    """Write the checkpoint of `step`, replacing one of the same step.

    Raises OSError (a full disk, a quota) that says what to do; earlier checkpoints stay intact.
    """
    folder = folder_of(root, step)
    try:
        with filling(folder) as unfinished:
            digests = write_tensors(unfinished, tensors)
            write_state(unfinished, step, digests, state)
    except (OSError, SafetensorError) as error:
        raise OSError(no_room(root, step, error)) from error
    return Checkpoint(folder, step, state, digests.keys())


def folder_of(root: Path, step: int) -> Path:
    """The folder of the checkpoint of `step`."""
    return root / f"step-{step:08d}"


def write_tensors(folder: Path, tensors: Tensors) -> dict[str, str]:
    """Write a file for each group that has tensors: file name → digest."""
    digests = {}
    for name, group in tensors.items():
        if group:
            file = folder / f"{name}.safetensors"
            save_file({key: value.contiguous() for key, value in group.items()}, file)
            digests[file.name] = hash_file(file)
    return digests


def write_state(folder: Path, step: int, digests: Mapping[str, str], state: Mapping[str, Any]) -> None:
    """Write `state.json`. `digests`: file name, from the folder → digest."""
    with (folder / STATE).open("w") as stream:
        json.dump({"step": step, "files": digests, "state": state}, stream, indent=1)


def intact(root: Path, warn: Callable[[str], None], *, tidy: bool = True) -> Iterator[Checkpoint]:
    """The intact checkpoints, newest first; `warn` is called for each damaged one. `tidy`: remove what a killed process
    left; of several processes, one does."""
    if tidy:
        remove_leftovers(root)
    for folder in sorted(root.glob("step-*"), reverse=True):
        try:
            yield _open(folder)
        except (OSError, ValueError, KeyError, TypeError) as error:
            warn(f"checkpoint {folder} is damaged and is skipped ({error})")


def steps(root: Path) -> list[int]:
    """The steps of all checkpoint folders, damaged ones included, in order."""
    names = (re.fullmatch(r"step-(\d{8,})", place.name) for place in root.glob("step-*"))
    return sorted(int(name[1]) for name in names if name)


def prune(root: Path, keep: set[int]) -> None:
    """Remove the checkpoints of all other steps."""
    kept = {f"step-{step:08d}" for step in keep}
    for place in root.glob("step-*"):
        if place.name not in kept:
            remove(place)


def _open(folder: Path) -> Checkpoint:
    written = read_json(folder / STATE)
    for name, digest in written["files"].items():
        if hash_file(folder / name) != digest:
            raise ValueError(f"{name} does not match its digest")
    return Checkpoint(folder, written["step"], written["state"], written["files"].keys())


def no_room(root: Path, step: int, error: BaseException) -> str:
    """The message for a checkpoint that could not be written."""
    before = next(intact(root, lambda _: None, tidy=False), None)
    kept = f"{before.folder.name} is intact" if before else "none is intact"
    free = shutil.disk_usage(root).free / 1e6
    return (
        f"{root}: cannot write the checkpoint of step {step} ({error}; {free:,.0f} MB free). "
        f"Of the checkpoints before, {kept}: make room and run the same command again to continue."
    )
