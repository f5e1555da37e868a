"""The data set of a stage as MLflow's runs have it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

    from kepipe.flow.events import Dataset


def dataset_input(event: Dataset) -> DatasetInput:
    """The data set with its profile, and the stage as its context."""
    from mlflow.entities import Dataset as Data
    from mlflow.entities import DatasetInput, InputTag

    source = json.dumps({"name": event.name, "digest": event.digest})
    profile = json.dumps(dict(event.profile))
    data = Data(event.name[:500], event.digest[:36], "kepipe", source, profile=profile)
    return DatasetInput(data, [InputTag("mlflow.data.context", event.stage or "pipeline")])
