"""Fault cases: each yields what went wrong, and nothing if all is well."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from kepipe.flow.history import results
from kepipe.flow.plan import Workspace
from kepipe.tracking import registry
from tests.faults.killer import Killer
from tests.faults.world import LIGHT, World, differs_from_reference, mlflow_servers, wrongs
from tests.support.ports import free_port

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
HOUR = 3600
ONLY_GRAPH = "name: faulty\ngraph: {source: native, path: .}\nstages: {graph: {}}\n"
RETRIES = ("--retries", "50", "--backoff", "0.2s")


def kills(folder: Path, count: int, seed: int, *, server: bool, longest: float = 6.0) -> Iterator[str]:
    """kill -9 of scheduler, runs, deliveries, tracking server and artifact server, at random times; without
    `server`, of scheduler and runs of a pipeline that trains nothing."""
    if not server:
        world = World(folder, {"KEPIPE_TRACKING": "off"}, LIGHT)
        yield from _kills(world, Killer, count, seed, longest)
        return
    with mlflow_servers(folder / "servers", free_port()) as running:
        world = World(folder, {"MLFLOW_TRACKING_URI": running["tracking server"].address})
        yield from _kills(world, lambda *given: Killer(*given, servers=running), count, seed, longest)


def _kills(world: World, make: Callable[..., Killer], count: int, seed: int, longest: float) -> Iterator[str]:
    world.ask("schedule", "add", str(world.pipeline), "--when-changed", "--every", "1s", *RETRIES)
    killer = make(world, np.random.default_rng(seed))
    world.serve()
    try:
        killer.rage(count, longest)
        world.settle()
    finally:
        world.end()
    texts = len(list((world.project / "texts").glob("voyager-*")))
    print(f"  killed {dict(killer.killed)}, while {texts} texts arrived", flush=True)
    yield from wrongs(world)
    yield from differs_from_reference(world, world.folder / "reference")
    failed = [each for each in results(world.workspace, "faulty") if each.outcome == "failed"]
    yield from (f"a firing failed for good: {each.reason}" for each in failed)


def deleted_entry(folder: Path) -> Iterator[str]:
    """The registered model is deleted in MLflow's pages, and the pipeline runs again."""
    world = World(folder)
    world.ask("run", str(world.pipeline))
    world.ask("track", "sync")
    client = world.store().client
    (before,) = registry.versions(client, "faulty")
    client.delete_registered_model("faulty")
    again = world.ask("run", str(world.pipeline))
    if "register" not in again.stdout:
        yield f"the run says nothing of register: {again.stdout[-300:]}"
    world.ask("track", "sync")
    found = registry.versions(client, "faulty")
    if [each.tags["kepipe.digest"] for each in found] != [before.tags["kepipe.digest"]]:
        yield f"after a run there are {len(found)} versions"
    elif "champion" not in found[0].aliases:
        yield f"the version that came back has the aliases {found[0].aliases}"
    yield from wrongs(world)


def deleted_version(folder: Path) -> Iterator[str]:
    """The champion's version alone is deleted."""
    world = World(folder)
    world.ask("run", str(world.pipeline))
    delivered = world.ask("track", "sync").stdout
    store = world.store()
    if registry.champion_of(store, "faulty") != 1:
        yield f"the first model is no champion: {delivered}"
        return
    store.client.delete_model_version("faulty", "1")
    world.ask("run", str(world.pipeline))
    world.ask("track", "sync")
    if registry.champion_of(store, "faulty") != 2:
        yield f"champion: {registry.champion_of(store, 'faulty')}"
    if [each.version for each in registry.versions(store.client, "faulty")] != [2]:
        yield "the model did not come back"


def full_disk(folder: Path, megabytes: int = 12) -> Iterator[str]:
    """The workspace's disk is full in the middle of a run, and has room again later. Needs root, which may mount."""
    world = World(folder)
    world.workspace.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(world.workspace)]
    subprocess.run(mount, check=True)
    try:
        full = world.ask("run", str(world.pipeline), check=False)
        if full.returncode == 0:
            yield f"it fitted into {megabytes} MB: the case shows nothing"
        elif "No space left" not in full.stdout + full.stderr:
            yield f"it failed, and not for the disk: {full.stderr[-500:]}"
        if "Traceback" in full.stderr:
            yield f"a full disk ends in a traceback: {full.stderr[-500:]}"
        subprocess.run(["mount", "-o", "remount,size=2g", str(world.workspace)], check=True)
        world.ask("run", str(world.pipeline))
        world.ask("track", "sync")
        yield from wrongs(world)
        yield from differs_from_reference(world, folder / "reference")
    finally:
        for _ in range(50):  # a delivery may still be at work there
            if (
                subprocess.run(["umount", str(world.workspace)], check=False, capture_output=True).returncode
                == 0
            ):
                break
            time.sleep(0.2)
        else:
            subprocess.run(["umount", "-l", str(world.workspace)], check=False)


def two_schedulers(folder: Path) -> Iterator[str]:
    """A second scheduler is started beside the first, and on the same schedules in `--once`."""
    world = World(folder)
    world.ask("schedule", "add", str(world.pipeline), "--when-changed", "--every", "1s")
    world.serve()
    try:
        while not world.processes(["kepipe", "run"]):
            time.sleep(0.1)
        for arguments in (["scheduler"], ["scheduler", "--once"]):
            second = world.ask(*arguments, check=False)
            if second.returncode == 0 or "a scheduler is already running" not in second.stderr:
                yield f"`{' '.join(arguments)}` beside another: {second.returncode} {second.stderr}"
        world.settle()
    finally:
        world.end()
    count = len(list(results(world.workspace, "faulty")))
    if count != 1:
        yield f"fired {count} times"
    yield from wrongs(world)


def damaged_jobs(folder: Path) -> Iterator[str]:
    """The file of schedules is overwritten and cut off while no scheduler runs."""
    world = World(folder)
    world.ask("schedule", "add", str(world.pipeline), "--when-changed", "--every", "1s")
    before = world.ask("schedule", "list").stdout
    for damage in (b"", b"no database" * 500, None):
        file = world.workspace / "schedule.sqlite"
        file.write_bytes(file.read_bytes()[:300] if damage is None else damage)
        if world.ask("schedule", "list").stdout != before:
            yield "the schedules are others after the file was damaged"
    world.ask("scheduler", "--once")
    if [each.outcome for each in results(world.workspace, "faulty")] != ["finished"]:
        yield "it did not fire"
    world.ask("track", "sync")
    yield from wrongs(world)


def clock_jumps(folder: Path) -> Iterator[str]:
    """The clock of a scheduler that fires each ten seconds jumps an hour forth, and an hour back. Needs faketime."""
    shift = folder / "shift"
    environment = {
        "LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(shift), "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1", "KEPIPE_TRACKING": "off",
    }  # fmt: skip
    world = World(folder, environment, ONLY_GRAPH)
    shift.write_text("+0")
    world.ask("schedule", "add", str(world.pipeline), "--cron", "*/10 * * * * *")
    world.serve()
    try:
        for offset in (0, HOUR, 0, -HOUR, 0):
            shift.write_text(f"{offset:+d}")
            before, begun = len(list(results(world.workspace, "faulty"))), time.monotonic()
            while len(list(results(world.workspace, "faulty"))) < before + 2:
                if time.monotonic() - begun > 600:
                    yield f"with the clock at {offset:+d} s nothing fired for ten minutes"
                    return
                time.sleep(0.2)
    finally:
        world.end()
    ended = list(results(world.workspace, "faulty"))
    if wrong := {each.outcome for each in ended} - {"finished", "stopped"}:
        yield f"outcomes {wrong}"
    if len(ended) > 40:
        yield f"fired {len(ended)} times: what was missed in an hour is fired once, and not each time"


def left_behind(folder: Path) -> Iterator[str]:
    """Leftovers of a killed run are never used as a result."""
    world = World(folder)
    process = subprocess.Popen(
        world.command("run", str(world.pipeline)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**world.variables(), "KEPIPE_TRACKING": "off"},
    )  # fmt: skip
    while not (world.workspace / "faulty" / "shards").exists():
        time.sleep(0.05)
    process.kill()
    process.wait()
    store = Workspace(world.workspace).store
    yield from (
        str(damage) for each in store.finished() if (damage := store.damage(each.name, thorough=True))
    )
    world.ask("run", str(world.pipeline))
    world.ask("track", "sync")
    yield from wrongs(world)


CASES: Mapping[str, Callable[[Path], Iterator[str]]] = {
    "registered model deleted": deleted_entry,
    "champion's version deleted": deleted_version,
    "two schedulers": two_schedulers,
    "damaged file of schedules": damaged_jobs,
    "a killed run": left_behind,
    "clock jumps": clock_jumps,
    "full disk": full_disk,
}


def why_not(name: str) -> str:
    """Why a case cannot run on this machine; "" if it can."""
    if name == "clock jumps" and not FAKETIME.is_file():
        return "faketime is not installed"
    if name == "full disk" and (
        os.geteuid() != 0 or shutil.which("mount") is None or sys.platform != "linux"
    ):
        return "only root may mount a small disk"
    return ""
