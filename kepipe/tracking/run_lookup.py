"""What a run in MLflow is in its workspace: a run of a pipeline, or a stage's result."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from kepipe.tracking.store import StoreUnavailable, connect


@dataclass(frozen=True)
class TrackedRun:
    """`run`: the id that kepipe gave it. `digest`: that of the result if it is a stage's run, else ""."""

    run: str
    digest: str = ""


def is_run_id(name: str) -> bool:
    """Whether a name has the form of MLflow's run ids: 32 hex digits."""
    return re.fullmatch(r"[0-9a-f]{32}", name) is not None


def find_run(run_id: str, workspace: Path) -> TrackedRun:
    """The run of this id in the workspace's MLflow store. Raises ValueError for one that is unknown, or neither of a
    pipeline nor of a finished stage."""
    from mlflow.exceptions import MlflowException

    try:
        tags = connect(workspace).client.get_run(run_id).data.tags
    except (StoreUnavailable, MlflowException, OSError) as error:
        raise ValueError(f"{run_id}: not found in MLflow: {str(error).splitlines()[0]}") from None
    if digest := tags.get("kepipe.digest"):
        return TrackedRun(tags.get("kepipe.run", ""), digest)
    if tags.get("kepipe.stage") != "(pipeline)":
        raise ValueError(f"{run_id}: neither the run of a pipeline nor of a finished stage")
    return TrackedRun(str(tags["kepipe.run"]))
