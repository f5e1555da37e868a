"""The models of a run's stages in MLflow: those that a stage trains, its checkpoints, and what it measured of others.

While a training runs, each checkpoint that it has is a `LoggedModel` with the metrics of its step; those that it
removes are deleted. When the stage ends, those that it had stay in MLflow, without files, beside the stage's model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kepipe.flow.events import Dataset, Event, Metrics, StageEnded, StageStarted, WeightsKept
from kepipe.tracking.logged_checkpoints import LoggedCheckpoints
from kepipe.tracking.logged_models import LoggedModels, is_model, measured
from kepipe.tracking.names import allowed, flatten

if TYPE_CHECKING:
    from mlflow.entities import Metric
    from mlflow.tracking import MlflowClient


class Maker(NamedTuple):
    """The stage that makes a model: the id of its MLflow run, its arm and seed in a study (or ""), its name there."""

    run: str
    copy: str
    stage: str
    begun: StageStarted | None

    @property
    def name(self) -> str:
        """The model's name."""
        return f"{self.stage}, {self.copy}" if self.copy else self.stage

    @property
    def params(self) -> Mapping[str, str]:
        """The stage's settings."""
        settings = {} if self.begun is None else dict(flatten(self.begun.config))
        return {allowed(key): value[:6000] for key, value in settings.items()}


class StageModels:
    """Of one pipeline run. Call `replay` for each of its events, before any other method."""

    def __init__(self) -> None:
        self._datasets: dict[str, Dataset] = {}
        self._latest: dict[str, Metrics] = {}
        self._measured: dict[str, dict[int, Metrics]] = defaultdict(dict)
        self._final: dict[str, WeightsKept] = {}

    def replay(self, event: Event) -> None:
        """Update the state for an event without sending anything."""
        match event:
            case Dataset():
                self._datasets[event.stage] = event
            case Metrics(step=int()):
                self._latest[event.stage] = event
            case WeightsKept():
                latest = self._latest.get(event.stage)
                if latest is not None and latest.step == event.step and event.measured:
                    values = {name: latest.values[name] for name in event.measured if name in latest.values}
                    self._measured[event.stage][event.step] = replace(latest, values=values)
                if not event.folder:
                    self._final[event.stage] = event

    def keep(self, client: MlflowClient, experiment: str, event: WeightsKept, maker: Maker) -> None:
        """Log a checkpoint, and delete those that the training has removed."""
        if event.folder and maker.begun is not None:
            metrics = self._metrics_of(event.stage, event.step)
            params = {**maker.params, "step": str(event.step)}
            checkpoints = LoggedCheckpoints(client, experiment, maker.run, maker.begun.key)
            name, dataset = f"{maker.name}, checkpoint-{event.step}", self._datasets.get(event.stage)
            checkpoints.log(event, name, params, metrics, dataset)

    def end(
        self,
        client: MlflowClient,
        experiment: str,
        event: StageEnded,
        maker: Maker,
        metrics: Sequence[Metric],
    ) -> None:
        """Log the model that a stage made, with its final metrics, or those of the models that it measured."""
        models, folder, final = (
            LoggedModels(client, experiment),
            Path(event.folder),
            self._final.get(event.stage),
        )
        by_digest = measured(folder, metrics, maker.stage)
        if is_model(folder):
            at_end = () if final is None else self._metrics_of(event.stage, final.step)
            by_digest[event.digest] = [*metrics, *at_end]
            if not models.with_digest(event.digest):
                models.create(event.digest, maker.name, maker.run, maker.params)
        for digest, its_own in by_digest.items():
            models.log(digest, its_own, self._datasets.get(event.stage))
        if final is not None and maker.begun is not None:
            checkpoints = LoggedCheckpoints(client, experiment, maker.run, maker.begun.key)
            checkpoints.end(final.step, models.with_digest(event.digest))

    def _metrics_of(self, stage: str, step: int) -> list[Metric]:
        """What was measured of the weights of a step, as the points of the run's curves."""
        from mlflow.entities import Metric

        event = self._measured[stage].get(step)
        if event is None:
            return []
        time = int(event.at * 1000)
        return [Metric(allowed(name), float(value), time, step) for name, value in event.values.items()]
