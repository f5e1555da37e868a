"""Checkpoints of a training as MLflow's `LoggedModel`s, to be compared by what was measured of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from kepipe.tracking.logged_models import finalized, find_models, permitted, tied

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel, Metric
    from mlflow.tracking import MlflowClient

    from kepipe.flow.events import Dataset, WeightsKept

MODEL_TYPE = "checkpoint"
STATE = "kepipe.checkpoint"
"""Tag: `kept` while the training has the checkpoint, in the folder of the tag `kepipe.folder`; when the stage has
ended, `final` for the one whose weights are the stage's model, and `removed` for the others."""
KEPT, FINAL, REMOVED = "kept", "final", "removed"
FOLDER, KEY = "kepipe.folder", "kepipe.key"


class LoggedCheckpoints:
    """Those of a training. `run`: the id of its stage's MLflow run; `key`: the stage's key, under which a later run
    continues the training of a killed one."""

    def __init__(self, client: MlflowClient, experiment: str, run: str, key: str) -> None:
        self._client, self._experiment, self._run, self._key = client, experiment, run, key

    def log(
        self,
        event: WeightsKept,
        name: str,
        params: Mapping[str, str],
        metrics: Sequence[Metric],
        dataset: Dataset | None,
    ) -> None:
        """Log a checkpoint without files, with its metrics and the data on which they were measured; delete those that
        are not kept any more."""
        client, kept = self._client, self._kept()
        model = next((one for one in (*kept, *self._of_run()) if _step(one) == event.step), None)
        if model is None:
            tags = {STATE: KEPT, FOLDER: event.folder, KEY: self._key}
            created = client.create_logged_model(
                self._experiment, permitted(name), self._run, tags, dict(params), model_type=MODEL_TYPE
            )
            model = finalized(client, created)
        if metrics:
            own = [tied(metric, model.model_id, dataset) for metric in metrics]
            client.log_batch(model.source_run_id or self._run, metrics=own)
        for other in kept:
            if _step(other) not in event.kept:
                client.delete_logged_model(other.model_id)

    def end(self, step: int, made: Iterable[LoggedModel]) -> None:
        """Note that the stage has ended, with the weights of `step` as those of the models `made`: its folder of
        checkpoints is removed. All become outputs of their runs, with their steps."""
        for model in made:
            self._note_output(model, step)
        for model in self._kept():
            self._note_output(model, _step(model))
            state = FINAL if _step(model) == step else REMOVED
            self._client.set_logged_model_tags(model.model_id, {FOLDER: "", STATE: state})

    def _note_output(self, model: LoggedModel, step: int) -> None:
        from mlflow.entities import LoggedModelOutput

        run = model.source_run_id or self._run
        outputs = self._client.get_run(run).outputs
        known = () if outputs is None else outputs.model_outputs
        if all(one.model_id != model.model_id for one in known):
            self._client.log_outputs(run, [LoggedModelOutput(model.model_id, step)])

    def _kept(self) -> list[LoggedModel]:
        """Those that the training has now, also from an attempt that was killed."""
        return self._search(f"tags.`{KEY}` = '{self._key}' and tags.`{STATE}` = '{KEPT}'")

    def _of_run(self) -> list[LoggedModel]:
        """Those of this run, whatever became of them: it may be delivered a second time."""
        return self._search(f"source_run_id = '{self._run}' and model_type = '{MODEL_TYPE}'")

    def _search(self, query: str) -> list[LoggedModel]:
        return find_models(self._client, self._experiment, query)


def _step(model: LoggedModel) -> int:
    return int(model.params["step"])
