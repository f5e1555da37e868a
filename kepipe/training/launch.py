"""A stage's work over several processes of this machine, one a GPU or one a share of the CPU's cores.

Each process runs the same function on the same inputs. The first one speaks for all: its events reach the sink
of the process that started them, as do mistakes of the user, from whichever process.
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
from kepipe.flow.stage import StageContext, nothing
from kepipe.worker_processes import end_with_parent

Job = Callable[[Any, Any, StageContext], None]
"""`(inputs, config, context)`, as a stage runs it; a function of a module, so that other processes can import it."""


@dataclass(frozen=True)
class _Meeting:
    """Where the processes of a group meet, how many they are, and how many threads each has."""

    processes: int
    threads: int
    folder: Path


def is_main_process() -> bool:
    """Whether this process is the one that writes and speaks."""
    return int(os.environ.get("RANK", "0")) == 0


def run(job: Job, inputs: Any, config: Any, context: StageContext, processes: int) -> None:
    """Run `job` in `processes` new processes that form one group of torch.distributed, and wait for them.

    Raises what a process raised: a ValueError or OSError as it is, anything else with its traceback. When one
    fails, or this one is stopped, the others are ended; when this one is killed, they end by themselves. Raises
    ValueError where there are fewer GPUs than processes.
    """
    _check_devices(context.device, processes)
    import torch
    from torch.multiprocessing.spawn import ProcessRaisedException, start_processes

    channel = multiprocessing.get_context("spawn").Queue()
    threads = max(1, torch.get_num_threads() // processes)
    mute = replace(context, sink=_mute, sources_read=nothing)
    with TemporaryDirectory() as folder:
        meeting = _Meeting(processes, threads, Path(folder))
        arguments = (meeting, channel, job, inputs, config, mute)
        group = start_processes(  # type: ignore[no-untyped-call]
            _take_part, arguments, processes, join=False, start_method="spawn"
        )
        try:
            while not group.join(timeout=0.1):
                _pass_on(channel, context)
        except ProcessRaisedException:
            _pass_on(channel, context)  # the reason, where it is the user's to mend
            raise
        finally:
            for process in group.processes:
                process.kill()
        _pass_on(channel, context)


def _check_devices(device: str, processes: int) -> None:
    """Raise ValueError where not each process can have a GPU to itself."""
    import torch

    place = torch.device(device)
    if place.type != "cuda":
        return
    if place.index is not None:
        raise ValueError(
            f"processes: {processes} need as many GPUs, and `device: {device}` is one: set `device: cuda`, or leave "
            "`processes` out"
        )
    there = torch.cuda.device_count()
    if processes > there:
        raise ValueError(
            f"processes: {processes}, but this machine has {there} GPUs: set processes to {there}"
        )


def _pass_on(channel: Any, context: StageContext) -> None:
    """Hand what the processes have said to the sink, and raise what they have raised."""
    while True:
        try:
            said: Event | Exception = channel.get(timeout=0.01)
        except Empty:
            return
        if isinstance(said, Exception):
            raise said
        context.sink(said)


def _take_part(
    rank: int,
    meeting: _Meeting,
    channel: Any,
    job: Job,
    inputs: Any,
    config: Any,
    context: StageContext,
) -> None:
    """What each process does: join the group, run the job, leave."""
    end_with_parent()
    size = meeting.processes
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size}
    os.environ.update({name: str(value) for name, value in place.items()})

    import torch
    import torch.distributed as group

    torch.set_num_threads(meeting.threads)
    on_gpu = torch.device(context.device).type == "cuda"
    if on_gpu:
        torch.cuda.set_device(rank)
    group.init_process_group(
        "nccl" if on_gpu else "gloo",
        init_method=(meeting.folder / "group").as_uri(),
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
    group.destroy_process_group()


def _mute(_event: Event) -> None:
    """The sink of a process that does not speak."""
