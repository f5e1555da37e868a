"""Run a pipeline: `kepipe run`, `kepipe.run`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kepipe.api.privacy import kept_private
from kepipe.terminal import echo

if TYPE_CHECKING:
    from kepipe.api.result import RunResult
    from kepipe.flow.events import Sink
    from kepipe.flow.plan import Flow, Workspace
    from kepipe.flow.runner import StageSelection

WORKSPACE, WORKSPACE_VARIABLE = Path("workspace"), "KEPIPE_WORKSPACE"
"""The default workspace, if neither the user nor the variable sets another."""
STORE_VARIABLE = "KEPIPE_STORE"
"""Environment variable with the URL of the shared store."""
WORKERS_VARIABLE = "KEPIPE_WORKERS"
"""Environment variable with the `workers` of all stages over a corpus."""
Assignments = Mapping[str, Any] | Sequence[str]
"""Settings that override the pipeline file's: `{"stages.pretrain.steps": 50}`, or strings as for `--set`."""


def run(
    pipeline: str | Path,
    *,
    set: Assignments = (),
    workspace: str | Path | None = None,
    store: str | None = None,
    until: str | None = None,
    only: str | Sequence[str] = (),
    force: Sequence[str] = (),
    progress: bool = True,
) -> RunResult:
    """Run a pipeline as `kepipe run`: cached stages are skipped, interrupted ones continue, MLflow tracks the run.

    `pipeline`: a YAML file, or the name of an included one. `set`: settings that override the file's. `workspace`:
    default is the variable KEPIPE_WORKSPACE, else `workspace` in the current folder. `store`: URL of the shared store;
    default is the variable KEPIPE_STORE. `until`, `only`, `force`: as the command's options; the variable
    KEPIPE_WORKERS is as its `--workers`. `progress`: whether to print progress to standard output.

    Raises ConfigError (a ValueError) for invalid settings, `kepipe.flow.runner.StageFailed` if a stage fails.
    """
    from kepipe.console.run import open_console
    from kepipe.flow.plan import Workspace
    from kepipe.flow.runner import StageSelection
    from kepipe.pipeline.shipped import find

    wanted = (only,) if isinstance(only, str) else tuple(only)
    file, selection = find(Path(pipeline)), StageSelection(until, wanted, force)
    with kept_private(), open_console(False) if progress else nullcontext(_silent) as sink:
        place = Workspace(place_of(workspace).resolve(), store or os.environ.get(STORE_VARIABLE, ""))
        return run_pipeline(file, place, assignments(set), selection, sink)


def run_pipeline(
    file: Path,
    place: Workspace,
    assigned: Sequence[str],
    selection: StageSelection,
    sink: Sink,
    warn: Callable[[str], None] = lambda text: echo(f"warning: {text}", err=True),
    workers: str | None = None,
) -> RunResult:
    """Run the selected stages of a pipeline file, with `--set` assignments. `sink` gets all events, `warn` warnings
    about the data. `workers`: of all stages over a corpus; None: as the variable KEPIPE_WORKERS says, "" as the file
    says. Raises as `run`."""
    from kepipe import pipeline as pipelines
    from kepipe.api.result import RunResult
    from kepipe.device import resolve
    from kepipe.flow.runner import Run
    from kepipe.pipeline.inspection import inspect
    from kepipe.provenance import run_tags
    from kepipe.tracking import track

    refuse_launcher()
    flow, settings = pipelines.load(file, assigned)
    flow = with_chosen_workers(flow, workers)
    for warning in inspect(flow):
        warn(warning)
    place.make()
    with track(place.root) as tracker:
        job = Run(
            flow,
            place,
            selection,
            [sink, tracker],
            device=lambda: resolve(flow.device),
            config=settings,
            tags=run_tags(file, flow.seed, assigned),
        )
        copies = frozenset(node.name for node in flow.nodes if node.labels)
        return RunResult(flow.name, job.id, place.root, job.execute(), copies)


def with_chosen_workers(flow: Flow, workers: str | None = None) -> Flow:
    """The flow with `workers` in all stages over a corpus; None: as the variable KEPIPE_WORKERS says, "" as the file
    says. Raises ConfigError for another text."""
    from kepipe.pipeline.workers import with_workers

    where = os.environ.get(WORKERS_VARIABLE, "") if workers is None else workers
    return with_workers(flow, where) if where else flow


def assignments(given: Assignments) -> list[str]:
    """Settings as strings for `--set`, with values as YAML."""
    if isinstance(given, Mapping):
        from kepipe.config import as_yaml

        return [f"{key}={as_yaml(value)}" for key, value in given.items()]
    if isinstance(given, str):
        raise TypeError(f"set={given!r}: expected a mapping of settings, or a list of KEY=VALUE")
    return list(given)


def place_of(workspace: str | Path | None) -> Path:
    """The workspace: as given, from the variable, or the default."""
    return Path(workspace or os.environ.get(WORKSPACE_VARIABLE) or WORKSPACE)


def refuse_launcher() -> None:
    """Raise ValueError if a launcher such as torchrun started this process as one of several: each would run the whole
    pipeline and wait for the others' locks. Stages start their own processes."""
    processes = os.environ.get("WORLD_SIZE", "1")
    if processes != "1":
        raise ValueError(
            f"kepipe run was started {processes} times (WORLD_SIZE={processes}), as by torchrun or accelerate: start "
            f"it once and set the number of training processes: `--set stages.pretrain.processes={processes}`"
        )


def _silent(_: object) -> None:
    """A sink that ignores events."""
