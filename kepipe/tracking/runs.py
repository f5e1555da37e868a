"""A run's events as MLflow runs: a parent run for the pipeline, a nested child run for each stage that ran.

Writes are idempotent, so that delivery may be interrupted anywhere: runs are found again by their tags, and
metrics that may be in the store already are compared with it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kepipe.flow.artifact import Artifact
from kepipe.flow.events import (
    Dataset,
    Event,
    Metrics,
    Noted,
    RunEnded,
    RunStarted,
    StageCached,
    StageEnded,
    StageStarted,
    WeightsKept,
)
from kepipe.tracking import runs_table
from kepipe.tracking.arm_costs import log_costs
from kepipe.tracking.datasets import dataset_input
from kepipe.tracking.eval_table import log_eval_table
from kepipe.tracking.names import allowed, flatten
from kepipe.tracking.shown_files import shown_files
from kepipe.tracking.stage_models import Maker, StageModels
from kepipe.tracking.store import Store
from kepipe.tracking.tunings import TUNING, identity, is_trial, name_of, tuning_of

if TYPE_CHECKING:
    from mlflow.entities import Metric

STATUS = {"finished": "FINISHED", "failed": "FAILED", "killed": "KILLED"}
BATCH_LIMITS = {"metrics": 1000, "params": 100, "tags": 100}
"""MLflow's maximum number of entries per request."""
CONCLUDING = ("report", "task-report", "study")
"""Kinds of stages whose last message becomes the run's description."""
DESCRIPTION = "mlflow.note.content"
"""Tag that MLflow's pages show as a run's description."""


class Runs:
    """Writes the events of one pipeline run to a store.

    Call `replay` for events that are in the store already, `write` for the others, or `write_metrics` for a batch of
    metrics.
    """

    def __init__(self, store: Store) -> None:
        self._store, self._client = store, store.client
        self._started = RunStarted(pipeline="unknown", config={}, tags={})
        self._stages: dict[str, StageStarted] = {}
        self._unfinished: dict[str, float] = {}
        self._arms: dict[str, dict[str, str]] = {}
        self._done: set[str] = set()
        self._cached: set[str] = set()
        self._ids: dict[str, str] = {}
        self._steps: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
        self._final: dict[str, dict[str, None]] = defaultdict(dict)
        self._ending: dict[str, list[Metrics]] = defaultdict(list)
        self._models = StageModels()
        self._notes: list[str] = []
        self._description = ""
        self._experiment = ""

    @property
    def pipeline(self) -> str:
        """Name of the pipeline, and of its experiment."""
        return self._started.pipeline

    @property
    def experiment(self) -> str:
        """Id of the experiment: one for each pipeline."""
        if not self._experiment:
            self._experiment = self._store.experiment(self.pipeline)
        return self._experiment

    def replay(self, event: Event) -> None:
        """Update the state for an event without sending anything."""
        match event:
            case RunStarted():
                self._started = event
                self._unfinished[""] = event.at
            case StageStarted():
                self._stages[event.stage] = event
                self._unfinished[event.stage] = event.at
                if copy := _copy_of(event):
                    self._arms[copy] = {f"kepipe.{name}": event.labels[name] for name in ("arm", "seed")}
            case StageEnded():
                self._unfinished.pop(event.stage, None)
                if event.status == "finished":
                    self._done.add(event.stage)
            case StageCached():
                self._done.add(event.stage)
                self._cached.add(event.stage)
            case RunEnded():
                self._unfinished.pop("", None)
            case Metrics(step=int(step)):
                for name in event.values:
                    self._steps[event.stage][name].add(step)
            case Metrics(stage=str(stage)) if stage in self._stages:
                self._final[self._parent_of(stage)[1]].update(dict.fromkeys(event.values))
                self._ending[stage].append(event)
            case Noted():
                self._notes.append(f"{event.level}: {event.stage}: {event.message}")
                begun = self._stages.get(event.stage)
                concludes = not event.stage or (begun is not None and begun.kind in CONCLUDING)
                if concludes and event.level == "info":
                    self._description = event.message
        self._models.replay(event)
        self._unfinished.update(dict.fromkeys(self._unfinished, event.at))

    def write(self, event: Event) -> None:
        """Send an event. Events without an MLflow counterpart only update the state."""
        self.replay(event)
        match event:
            case RunStarted():
                if TUNING in event.tags:  # it may have been interrupted before
                    self._client.update_run(self.run_id(""), "RUNNING")
                self._write_params(self.run_id(""), event.config)
            case StageStarted():
                self._write_params(self.run_id(event.stage), event.config)
            case StageCached():
                tag = f"kepipe.cached.{event.stage}"
                self._client.set_tag(self.run_id(""), allowed(tag), event.maker or event.key)
            case Metrics():
                self.write_metrics([event])
            case Dataset():
                self._client.log_inputs(self.run_id(event.stage), [dataset_input(event)])
            case WeightsKept():
                self._models.keep(self._client, self.experiment, event, self._maker(event.stage))
            case StageEnded():
                self._end_stage(event)
            case RunEnded():
                self._end(event.status, event.at)

    def write_metrics(self, events: Sequence[Metrics], may_exist: bool = False) -> None:
        """Send metrics in batches. `may_exist`: some may be in the store already.

        Final values are also logged to the stage's parent run, where MLflow's table shows them side by side.
        """
        by_run: dict[str, list[Metric]] = defaultdict(list)
        for event in events:
            self.replay(event)
            by_run[event.stage] += self._metrics_of(event)
            if event.step is None and event.stage:
                above, stage = self._parent_of(event.stage)
                values = {f"{stage}/{name}": value for name, value in event.values.items()}
                by_run[above] += self._metrics_of(replace(event, stage=above, values=values))
        for name, metrics in by_run.items():
            run = self.run_id(name)
            if may_exist:
                metrics = self._missing(run, metrics)
            for part in _parts(metrics, BATCH_LIMITS["metrics"]):
                self._client.log_batch(run, metrics=part)

    def end_abandoned(self) -> None:
        """End the runs that a killed process left open, at the time of its last event."""
        if "" in self._unfinished:
            self._end_copies("killed", self._unfinished[""])
            for stage, at in reversed(self._unfinished.items()):
                self._client.set_terminated(self.run_id(stage), STATUS["killed"], int(at * 1000))

    def run_id(self, stage: str) -> str:
        """The MLflow run of a stage, or of the pipeline (""): the one with its tags, or a new one.

        A cached stage has no run of its own, which nothing would end: its events go to the pipeline's run."""
        if stage in self._cached:
            return self.run_id("")
        if stage not in self._ids:
            self._ids[stage] = self._find(identity(self._started, stage)) or self._create(stage)
        return self._ids[stage]

    def maker_id(self, digest: str) -> str | None:
        """The MLflow run of the stage that first made an artifact, if it is in this experiment."""
        query, order = f"tags.`kepipe.digest` = '{digest}'", ["attributes.start_time ASC"]
        runs = self._client.search_runs([self.experiment], query, max_results=1, order_by=order)
        return runs[0].info.run_id if runs else None

    def _find(self, tags: Mapping[str, str]) -> str | None:
        query = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
        runs = self._client.search_runs([self.experiment], query, max_results=1)
        return runs[0].info.run_id if runs else None

    def _create(self, stage: str) -> str:
        begun = self._stages.get(stage, self._started)
        tags = self._pipeline_tags() if not stage else self._stage_tags(stage)
        tags |= {"kepipe.run": self._started.run, **identity(self._started, stage)}
        if not stage and is_trial(self._started) and (above := self._find(tuning_of(self._started))):
            tags["mlflow.parentRunId"] = above
        kept = {allowed(name): str(value)[:5000] for name, value in tags.items()}
        name = stage or name_of(self._started)
        run = self._client.create_run(self.experiment, int(begun.at * 1000), kept, name)
        return str(run.info.run_id)

    def _pipeline_tags(self) -> dict[str, str]:
        tags = {f"kepipe.{name.removeprefix('kepipe.')}": value for name, value in self._started.tags.items()}
        if "git.commit" in self._started.tags:
            tags["mlflow.source.git.commit"] = self._started.tags["git.commit"].partition("+")[0]
        return {
            **tags,
            "mlflow.source.name": f"kepipe run {self._started.pipeline}",
            "mlflow.source.type": "JOB",
        }

    def _stage_tags(self, stage: str) -> dict[str, str]:
        begun = self._stages.get(stage)
        copy = _copy_of(begun) if begun is not None else ""
        tags = {**self._pipeline_tags(), "mlflow.parentRunId": self.run_id(copy)}
        if begun is None:
            return tags | self._arms.get(stage, {})
        tags |= {f"kepipe.{name}": value for name, value in begun.labels.items() if name != "stage"}
        tags |= {
            "kepipe.kind": begun.kind,
            "kepipe.key": begun.key,
            "kepipe.resumed": str(begun.resumed).lower(),
        }
        tags |= {f"kepipe.input.{name}": digest for name, digest in begun.inputs.items()}
        return tags | {f"kepipe.upstream.{name}": run for name, run in begun.upstream.items()}

    def _write_params(self, run: str, config: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        params = [Param(allowed(key), value[:6000]) for key, value in flatten(config)]
        for part in _parts(params, BATCH_LIMITS["params"]):
            self._client.log_batch(run, params=part)

    def _end_stage(self, event: StageEnded) -> None:
        run, end = self.run_id(event.stage), int(event.at * 1000)
        tags = {"kepipe.digest": event.digest, "kepipe.folder": event.folder, "kepipe.error": event.error}
        for name, value in tags.items():
            if value:
                self._client.set_tag(run, name, value[:5000])
        if event.folder:
            ending = [metric for final in self._ending[event.stage] for metric in self._metrics_of(final)]
            self._models.end(self._client, self.experiment, event, self._maker(event.stage), ending)
        duration = Metrics(stage=event.stage, at=event.at, values={"seconds": event.seconds})
        self.write_metrics([duration], may_exist=True)
        if event.folder:
            self._write_earlier(event)
            for file, place in shown_files(Path(event.folder)):
                self._client.log_artifact(run, str(file), place)
            log_eval_table(self._client, run, Path(event.folder))
            log_costs(self._client, run, Path(event.folder))
        self._client.set_terminated(run, STATUS[event.status], end)

    def _write_earlier(self, event: StageEnded) -> None:
        """If the stage resumed an interrupted attempt, add the metrics that the attempt logged."""
        begun = self._stages.get(event.stage)
        if begun is None or not begun.resumed:
            return
        known = self._steps[event.stage]
        earlier = []
        for entry in Artifact(Path(event.folder), "").metrics():
            step = entry["step"]
            values = {
                k: v for k, v in entry.items() if k != "step" and step is not None and step not in known[k]
            }
            if values:
                earlier.append(Metrics(stage=event.stage, at=begun.at, values=values, step=step))
        self.write_metrics(earlier, may_exist=True)

    def _maker(self, stage: str) -> Maker:
        return Maker(self.run_id(stage), *self._parent_of(stage), self._stages.get(stage))

    def _end(self, status: str, at: float) -> None:
        run = self.run_id("")
        if self._notes:
            self._client.log_text(run, "\n".join(self._notes) + "\n", "notes.txt")
        if self._description:
            self._client.set_tag(run, DESCRIPTION, self._description)
        kinds = {self._parent_of(stage)[1]: begun.kind for stage, begun in self._stages.items()}
        if shown := runs_table.deciding_columns(self._final, kinds):
            self._client.set_experiment_tag(
                self.experiment, runs_table.TAG, runs_table.view([*map(allowed, shown)])
            )
        self._end_copies(status, at)
        self._client.set_terminated(run, STATUS[status], int(at * 1000))

    def _end_copies(self, status: str, at: float) -> None:
        """End the runs of a study's arms. A run whose stages are all done is finished, even if others failed."""
        for copy in self._arms:
            stages = [stage for stage, labels in self._started.labels.items() if _copy(labels) == copy]
            done = bool(stages) and self._done.issuperset(stages)
            self._client.set_terminated(
                self.run_id(copy), STATUS["finished" if done else status], int(at * 1000)
            )

    def _parent_of(self, stage: str) -> tuple[str, str]:
        """The parent of a stage's run, and the stage's name in it."""
        begun = self._stages.get(stage)
        copy = _copy_of(begun) if begun is not None else ""
        return (copy, begun.labels["stage"]) if begun is not None and copy else ("", stage)

    def _metrics_of(self, event: Metrics) -> Iterator[Metric]:
        """MLflow metrics of an event. A final value gets the last step of its curve, since MLflow shows the highest
        step."""
        from mlflow.entities import Metric

        for name, value in event.values.items():
            step = event.step
            if step is None:
                step = max(self._steps[event.stage][name], default=0)
            yield Metric(allowed(name), float(value), int(event.at * 1000), step)

    def _missing(self, run: str, metrics: Sequence[Metric]) -> list[Metric]:
        present = {
            _point(metric)
            for name in {metric.key for metric in metrics}
            for metric in self._client.get_metric_history(run, name)
        }
        return [metric for metric in metrics if _point(metric) not in present]


def _copy_of(begun: StageStarted) -> str:
    """The parent run of a study's stages for one arm and seed, `graph-on, seed 0`; "" outside of a study."""
    return _copy(begun.labels)


def _copy(labels: Mapping[str, str]) -> str:
    return f"{labels['arm']}, seed {labels['seed']}" if labels else ""


def _point(metric: Metric) -> tuple[str, int, int, str]:
    return metric.key, metric.step, metric.timestamp, repr(metric.value)  # repr: nan equals nan


def _parts(items: Sequence[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
