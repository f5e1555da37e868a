"""Run a stage in several processes of this machine, one per GPU, or sharing the CPU's cores.

Each process runs the same function on the same inputs. Only the main process (rank 0) sends events to the sink of the
process that started them; ValueErrors and OSErrors reach it from any process.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty
from tempfile import TemporaryDirectory
from typing import Any

from kepipe.flow.events import Event
from kepipe.flow.stage import StageContext, noop
from kepipe.worker_processes import end_with_parent

Job = Callable[[Any, Any, StageContext], None]
"""`(inputs, config, context)`, as for a stage; a module-level function, so that other processes can import it."""


@dataclass(frozen=True)
class _ProcessGroup:
    """The size of the group, the threads of each process, and the folder of its rendezvous file."""

    processes: int
    threads: int
    folder: Path


def is_main_process() -> bool:
    """Whether this is the process that writes results and sends events."""
    return int(os.environ.get("RANK", "0")) == 0


def run(job: Job, inputs: Any, config: Any, context: StageContext, processes: int) -> None:
    """Run `job` in `processes` new processes that form one torch.distributed group, and wait for them.

    Raises what a process raised: a ValueError or OSError as it is, anything else with its traceback. When one process
    fails, or this one is stopped, the others are killed; when this one is killed, they end by themselves. Raises
    ValueError if there are fewer GPUs than processes.
    """
    _check_devices(context.device, processes)
    import torch
    from torch.multiprocessing.spawn import ProcessRaisedException, start_processes

    channel = multiprocessing.get_context("spawn").Queue()
    threads = max(1, torch.get_num_threads() // processes)
    silent = replace(context, sink=_ignore, sources_read=noop)
    with TemporaryDirectory() as folder:
        group = _ProcessGroup(processes, threads, Path(folder))
        arguments = (group, channel, job, inputs, config, silent)
        spawned = start_processes(  # type: ignore[no-untyped-call]
            _run_worker, arguments, processes, join=False, start_method="spawn"
        )
        try:
            while not spawned.join(timeout=0.1):
                _forward_events(channel, context)
        except ProcessRaisedException:
            _forward_events(channel, context)  # raises the worker's own error, if it sent one
            raise
        finally:
            for process in spawned.processes:
                process.kill()
        _forward_events(channel, context)


def _check_devices(device: str, processes: int) -> None:
    """Raise ValueError if there is not a GPU for each process."""
    import torch

    place = torch.device(device)
    if place.type != "cuda":
        return
    if place.index is not None:
        raise ValueError(
            f"processes: {processes} need as many GPUs, and `device: {device}` is one: set `device: cuda`, or leave "
            "`processes` out"
        )
    available = torch.cuda.device_count()
    if processes > available:
        raise ValueError(
            f"processes: {processes}, but this machine has {available} GPUs: set processes to {available}"
        )


def _forward_events(channel: Any, context: StageContext) -> None:
    """Send the events of the main process to the sink; raise the first error that a process sent."""
    while True:
        try:
            message: Event | Exception = channel.get(timeout=0.01)
        except Empty:
            return
        if isinstance(message, Exception):
            raise message
        context.sink(message)


def _run_worker(
    rank: int,
    group: _ProcessGroup,
    channel: Any,
    job: Job,
    inputs: Any,
    config: Any,
    context: StageContext,
) -> None:
    """The main function of each process: join the group, run the job, leave the group."""
    end_with_parent()
    size = group.processes
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size}
    os.environ.update({name: str(value) for name, value in place.items()})

    import torch

    torch.set_num_threads(group.threads)
    on_gpu = torch.device(context.device).type == "cuda"
    if on_gpu:
        torch.cuda.set_device(rank)
    torch.distributed.init_process_group(
        "nccl" if on_gpu else "gloo",
        init_method=(group.folder / "group").as_uri(),
        rank=rank,
        world_size=size,
    )
    try:
        job(inputs, config, replace(context, sink=channel.put) if rank == 0 else context)
    except (ValueError, OSError) as mistake:
        channel.put(mistake)
        raise
    finally:
        channel.close()
        channel.join_thread()
    torch.distributed.destroy_process_group()


def _ignore(_event: Event) -> None:
    """The sink of all processes but the main one."""
