"""Events of a run, as plain values. The console, the JSON log and tracking consume them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["finished", "failed", "killed"]
"""How a stage or a run ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened in pipeline run `run`, in stage `stage` ("" for the run itself), at Unix time `at`."""

    run: str = ""
    stage: str = ""
    at: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """A pipeline run begins. `tags`: git commit, seed and versions; `config`: the whole pipeline; `labels`: stage of a
    study → its `StageStarted.labels`, for the stages that are to run."""

    pipeline: str
    config: Mapping[str, Any]
    tags: Mapping[str, str]
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded(Event):
    """A pipeline run ends: `status` is "finished", "failed" or "killed"."""

    status: Status
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StageStarted(Event):
    """A stage starts. `inputs` maps input name → digest, `upstream` input name → run that made it.

    `labels`: its arm and seed in a study.
    """

    kind: str
    key: str
    config: Mapping[str, Any]
    inputs: Mapping[str, str]
    upstream: Mapping[str, str]
    resumed: bool
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageEnded(Event):
    """A stage ends: `status` is "finished", "failed" or "killed". `folder` holds the artifact of a finished one."""

    status: Status
    seconds: float
    folder: str = ""
    digest: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCached(Event):
    """A stage was skipped because its artifact is cached; `maker` is the run that made it."""

    key: str
    folder: str
    digest: str
    maker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics(Event):
    """Measured values; `step` is None for a single final value."""

    values: Mapping[str, float]
    step: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsKept(Event):
    """A training keeps its weights after `step` updates: as a checkpoint in `folder`, or, without a folder, as those of
    its model. `kept`: steps of all checkpoints that it has now. `measured`: names of those metrics of `step` that were
    measured on held-out data."""

    step: int
    kept: tuple[int, ...] = ()
    folder: str = ""
    measured: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset(Event):
    """A stage has read data: its name, digest and profile (counts)."""

    name: str
    digest: str
    profile: Mapping[str, int | float | str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOffered(Event):
    """A model folder is offered to the model registry under `name`, with what the promotion gate needs."""

    name: str
    folder: str
    digest: str
    metrics: Mapping[str, float]
    gate: Mapping[str, Any]
    tags: Mapping[str, str]
    again: bool = False
    """Whether an earlier run offered the model already: it is offered again in case the registry has lost it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressed(Event):
    """Progress of task `what`: `done` of `total` units (None: unknown). Only displayed, never stored."""

    what: str
    done: int
    total: int | None
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted(Event):
    """A message for the user; `level` is "info" or "warning"."""

    level: str
    message: str


Sink = Callable[[Event], None]


class RunStopped(BaseException):
    """Raised by a sink to stop the run: the stage in progress ends with status "killed"."""
