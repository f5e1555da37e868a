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
    from kepipe.flow.plan import Workspace
    from kepipe.flow.runner import StageSelection

WORKSPACE, WORKSPACE_VARIABLE = Path("workspace"), "KEPIPE_WORKSPACE"
"""Where all is made that kepipe makes, unless the user or the variable says another place."""
STORE_VARIABLE = "KEPIPE_STORE"
"""Environment variable: the URL of the results that workspaces share."""
Assignments = Mapping[str, Any] | Sequence[str]
"""Settings over those of a pipeline file: `{"stages.pretrain.steps": 50}`, or as `--set` takes them."""


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
    """Run a pipeline as `kepipe run` does: cached stages are skipped, interrupted ones continue, MLflow hears of it.

    `pipeline`: a YAML file, or the name of one that comes with kepipe. `set`: settings over the file's. `workspace`:
    else the variable KEPIPE_WORKSPACE, else `workspace` here. `store`: URL of the shared store, else the variable
    KEPIPE_STORE. `until`, `only`, `force`: as the command's options.
    `progress`: whether standard output shows how far it is.

    Raises ConfigError (a ValueError) for a mistake in the settings, `kepipe.flow.runner.StageFailed` where a stage
    fails.
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
) -> RunResult:
    """Run the stages of a pipeline file that are selected, with `--set` assignments; `sink` hears of all that happens,
    `warn` of what may be wrong with the data. Raises as `run` does."""
    from kepipe import pipeline as pipelines
    from kepipe.api.result import RunResult
    from kepipe.device import resolve
    from kepipe.flow.runner import Run
    from kepipe.pipeline.inspection import inspect
    from kepipe.provenance import run_tags
    from kepipe.tracking import track

    refuse_launcher()
    flow, settings = pipelines.load(file, assigned)
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


def assignments(given: Assignments) -> list[str]:
    """What is given as `--set` takes it: a value is written as YAML reads it."""
    if isinstance(given, Mapping):
        from kepipe.config import as_yaml

        return [f"{key}={as_yaml(value)}" for key, value in given.items()]
    if isinstance(given, str):
        raise TypeError(f"set={given!r}: expected a mapping of settings, or a list of KEY=VALUE")
    return list(given)


def place_of(workspace: str | Path | None) -> Path:
    """The workspace that is meant."""
    return Path(workspace or os.environ.get(WORKSPACE_VARIABLE) or WORKSPACE)


def refuse_launcher() -> None:
    """Raise ValueError where torchrun or its like started this process as one of several: each would run the whole
    pipeline, and wait for the others' locks. Stages start processes of their own."""
    processes = os.environ.get("WORLD_SIZE", "1")
    if processes != "1":
        raise ValueError(
            f"kepipe run was started {processes} times (WORLD_SIZE={processes}), as torchrun and accelerate do: "
            f"start it once, and say how many processes train: `--set stages.pretrain.processes={processes}`"
        )


def _silent(_: object) -> None:
    """Hears and says nothing."""
