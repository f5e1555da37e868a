"""Checkpoints of sharded weights: each process writes and reads its own share (`torch.distributed.checkpoint`).

The storage is Hugging Face's: safetensors files whose headers say which part of a weight they hold, read by any number
of processes. DCP's own storage is not used, since its metadata are a pickle, and so are all its files. A checkpoint is
renamed into place only after every process has written its share and the first one has gathered their digests.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.metadata import Metadata, TensorStorageMetadata
from torch.distributed.checkpoint.planner import SavePlan, SavePlanner
from torch.distributed.checkpoint.staging import DefaultStager, StagingOptions
from torch.distributed.checkpoint.state_dict_loader import load as load_tensors
from torch.distributed.checkpoint.state_dict_saver import async_save
from torch.distributed.checkpoint.storage import WriteResult

from kepipe.files import filling
from kepipe.flow.artifact import hash_file
from kepipe.training import checkpoint, state_dict

WEIGHTS, MEMORY = "weights.", "memory."
"""What a tensor is, before its name."""


class ShardWriter(HuggingFaceStorageWriter):
    """Writes this process's share into `folder`, and in the first process calls `publish` when all have written theirs.

    `publish`: takes (file name → digest) of all processes.
    """

    def __init__(self, folder: Path, publish: Callable[[Mapping[str, str]], None]) -> None:
        super().__init__(str(folder), save_distributed=True)
        self.folder, self.publish = folder, publish

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        """The plan as it is: the folder is the first process's to make."""
        return plan

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        """In the first process, before anything is written: an empty folder."""
        self.folder.mkdir(parents=True)
        return super().prepare_global_plan(plans)

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> torch.futures.Future[list[WriteResult]]:
        """Write the file; what is gathered of it are its name and its digest."""
        done = super().write_data(plan, planner)
        files = {result.storage_data.relative_path for result in done.value()}
        digests = {file: hash_file(self.folder / file) for file in files}
        named: torch.futures.Future[list[WriteResult]] = torch.futures.Future()
        named.set_result(
            [
                replace(result, storage_data=(file, digests[file]))
                for result in done.value()
                for file in (result.storage_data.relative_path,)
            ]
        )
        return named

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:  # noqa: ARG002
        """In the first process, after all have written."""
        self.publish(dict(result.storage_data for of_process in results for result in of_process))


class ShardedCheckpoints:
    """Writes the checkpoints of `model` and `optimizer` under `root`, from all processes at once.

    They synchronise in a process group of their own, so that a checkpoint can be written during training.
    """

    def __init__(self, root: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self.root, self.model, self.optimizer = root, model, optimizer
        self.group = torch.distributed.new_group(backend="gloo")
        pinned = next(model.parameters()).is_cuda
        self.stager = DefaultStager(
            StagingOptions(
                pinned, use_shared_memory=False, use_async_staging=False, use_non_blocking_copy=False
            )
        )

    def save(
        self,
        step: int,
        others: checkpoint.Tensors,
        state: Mapping[str, Any],
        then: Callable[[], None],
    ) -> Future[Any]:
        """Copy the share to the CPU, then write it in a thread. `others`: tensors that the first process writes whole;
        `then`: what it does at the end.

        The future's `result` raises OSError if some process could not write.
        """
        folder = checkpoint.folder_of(self.root, step)

        def publish(digests: Mapping[str, str]) -> None:
            """Rename the checkpoint into place, with the files that only the first process writes."""
            with filling(folder) as unfinished:
                (self._unfinished(step)).rename(unfinished / checkpoint.SHARDS)
                tensor_digests = checkpoint.write_tensors(unfinished, others)
                shards = {f"{checkpoint.SHARDS}/{name}": digest for name, digest in digests.items()}
                checkpoint.write_state(unfinished, step, shards | tensor_digests, state)
            then()

        tensors = {
            **{WEIGHTS + name: value.detach() for name, value in self.model.named_parameters()},
            **{
                MEMORY + name: value
                for name, value in state_dict.stored_state(self.model, self.optimizer).items()
            },
        }
        writer = ShardWriter(self._unfinished(step), publish)
        written = async_save(
            tensors, storage_writer=writer, process_group=self.group, async_stager=self.stager
        )
        assert isinstance(written, Future)
        return written

    def failure(self, step: int, error: BaseException) -> Exception:
        """The error for a checkpoint that some process could not write."""
        failures = error.failures.values() if isinstance(error, CheckpointException) else ()
        causes = [cause for cause, _ in failures]
        cause = next((one for one in causes if isinstance(one, OSError)), None)
        if cause is None:
            return RuntimeError(str(error))
        return OSError(checkpoint.no_room(self.root, step, cause))

    def _unfinished(self, step: int) -> Path:
        """Where shards are written: a leftover, until it is renamed."""
        return self.root / f".{checkpoint.folder_of(self.root, step).name}.shards.unfinished"


def load(
    one: checkpoint.Checkpoint, model: nn.Module, optimizer: torch.optim.Optimizer | None = None
) -> None:
    """Load weights, and the optimiser's state, from a sharded checkpoint, whatever number of processes wrote it.

    Each process reads what it holds. Raises ValueError if the checkpoint is of another model.
    """
    reader = HuggingFaceStorageReader(str(one.folder / checkpoint.SHARDS))
    known = reader.read_metadata().state_dict_metadata
    parameters = dict(model.named_parameters())
    saved = [name.removeprefix(WEIGHTS) for name in known if name.startswith(WEIGHTS)]
    state_dict.require_same_names(parameters, saved)
    targets: dict[str, Tensor] = {WEIGHTS + name: value.detach() for name, value in parameters.items()}
    if optimizer is not None:
        for key in (key for key in known if key.startswith(MEMORY)):
            what, name = key.removeprefix(MEMORY).split(".", 1)
            stored = known[key]
            assert isinstance(stored, TensorStorageMetadata)
            targets[key] = _room(parameters[name], stored)
            optimizer.state[parameters[name]][what] = targets[key]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled")  # each process reads by itself
        load_tensors({**targets}, storage_reader=reader, no_dist=True)


def _room(parameter: Tensor, stored: TensorStorageMetadata) -> Tensor:
    """An empty tensor for a state of `parameter`: sharded like it, or a scalar such as the step count."""
    dtype = stored.properties.dtype
    if stored.size == parameter.shape:
        return torch.empty_like(parameter, dtype=dtype, requires_grad=False)
    return torch.empty(stored.size, dtype=dtype, device=parameter.device)
