"""Models of stages as MLflow's `LoggedModel`s: what its Models tab lists and compares.

A model is logged when its stage ends, without files: they are stored when it is registered. Its metrics are the final
ones of its own stage, and those of each stage that measured it, each with the data set on which it was measured.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kepipe.flow.lineage import StageResult
from kepipe.tracking.names import allowed
from kepipe.tracking.store import paginate

if TYPE_CHECKING:
    from mlflow.entities import LoggedModel, Metric
    from mlflow.tracking import MlflowClient

    from kepipe.flow.events import Dataset

DIGEST = "kepipe.digest"
"""Tag of a logged model: the digest of its folder."""
REGISTERED = "kepipe.model"
"""Tag of a logged model whose files are stored: the registered model that it is a version of."""
_IN_MODEL_FOLDERS = "kepipe.json"
"""As `kepipe.models.folder.PROVENANCE`, whose module would load torch into the process that delivers."""


class LoggedModels:
    """The logged models of an experiment, by its id."""

    def __init__(self, client: MlflowClient, experiment: str) -> None:
        self._client, self._experiment = client, experiment

    def with_digest(self, digest: str) -> list[LoggedModel]:
        """Those of a folder's digest: several where it is registered under several names."""
        return find_models(self._client, self._experiment, f"tags.`{DIGEST}` = '{digest}'")

    def create(
        self, digest: str, name: str, run: str, params: Mapping[str, str] | None = None
    ) -> LoggedModel:
        """Log a model without files. `run`: the id of the run that made it."""
        tags = {DIGEST: digest}
        logged = self._client.create_logged_model(
            self._experiment, permitted(name), run, tags, dict(params or {}), model_type="kepipe"
        )
        return finalized(self._client, logged)

    def note_version(self, model: str, name: str, version: str) -> None:
        """Name a registered version in the tag of its logged model that MLflow's pages show."""
        from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

        tags = self._client.get_logged_model(model).tags
        known, this = json.loads(tags.get(MLFLOW_MODEL_VERSIONS, "[]")), {"name": name, "version": version}
        if not any(str(each["version"]) == version and each["name"] == name for each in known):
            self._client.set_logged_model_tags(model, {MLFLOW_MODEL_VERSIONS: json.dumps([*known, this])})

    def log(self, digest: str, metrics: Iterable[Metric], dataset: Dataset | None) -> None:
        """Log metrics, measured on a data set, to the models of a digest and the runs that made them.

        Values that a model has already are not logged again, such as those of a model that was made again.
        """
        for model in self.with_digest(digest):
            if model.source_run_id:
                own = [tied(metric, model.model_id, dataset) for metric in metrics]
                known = {_identity(metric) for metric in model.metrics or ()}
                own = [metric for metric in own if _identity(metric) not in known]
                self._client.log_batch(model.source_run_id, metrics=own)


def _identity(metric: Metric) -> tuple[str, int, float, str | None]:
    return metric.key, metric.step, metric.value, metric.dataset_digest


def is_model(folder: Path) -> bool:
    """Whether a stage's folder is that of a model."""
    return (folder / _IN_MODEL_FOLDERS).is_file()


def measured(folder: Path, metrics: Sequence[Metric], stage: str) -> dict[str, list[Metric]]:
    """Digests of the models that a stage measured → the metrics of each, named `<stage>/<probe>/…`.

    A stage measures the inputs of a slot by their names, in metrics `<name>/…`. Empty where its folder is gone.
    """
    from mlflow.entities import Metric

    try:
        inputs = dict(StageResult.open(folder).inputs())
    except ValueError:
        return {}
    digests = {allowed(slot.partition("/")[2]): digest for slot, digest in inputs.items() if "/" in slot}
    found: dict[str, list[Metric]] = {}
    for metric in metrics:
        name, _, rest = metric.key.partition("/")
        if rest and name in digests:
            key = allowed(f"{stage}/{rest}")
            renamed = Metric(key, metric.value, metric.timestamp, metric.step)
            found.setdefault(digests[name], []).append(renamed)
    return found


def permitted(name: str) -> str:
    """A model's name without the characters that MLflow refuses."""
    return re.sub(r"[/:.%\"']", "-", name)


def find_models(client: MlflowClient, experiment: str, query: str) -> list[LoggedModel]:
    """The logged models of an experiment that match a query, finalized."""
    found = paginate(lambda page: client.search_logged_models([experiment], query, page_token=page))
    return [finalized(client, model) for model in found]


def finalized(client: MlflowClient, model: LoggedModel) -> LoggedModel:
    """The model, whose creation may have been interrupted."""
    if str(model.status) == "READY":
        return model
    return client.finalize_logged_model(model.model_id, "READY")


def tied(metric: Metric, model: str, dataset: Dataset | None) -> Metric:
    """The metric as one of the model with this id, measured on a data set."""
    from mlflow.entities import Metric

    name = None if dataset is None else dataset.name[:500]
    digest = None if dataset is None else dataset.digest[:36]
    return Metric(metric.key, metric.value, metric.timestamp, metric.step, model, name, digest)
