"""The costs of arms, logged beside the study or the scores of a stage when its run is delivered.

They are not in `study.json`, since processor seconds differ from run to run and a study's bytes do not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kepipe.flow.lineage import StageResult, by_digest
from kepipe.flow.plan import Workspace
from kepipe.studies import scores
from kepipe.studies.costs import FILE, Cost, costs_as_json, costs_of_models, costs_of_study
from kg.regular_files import read_json

if TYPE_CHECKING:
    from mlflow import MlflowClient


def log_costs(client: MlflowClient, run: str, folder: Path) -> None:
    """Log the costs of the arms that a stage compared or measured as `costs.json`; nothing for other stages."""
    if costs := _costs(folder):
        client.log_text(run, json.dumps(costs_as_json(costs), indent=1, ensure_ascii=False) + "\n", FILE)


def _costs(folder: Path) -> Mapping[str, Cost]:
    """Arm → cost. Of results that are no longer in the store nothing is known."""
    try:
        made = StageResult.open(folder)
        file = made.folder / scores.FILE
        values = read_json(file) if file.is_file() else None
    except (OSError, ValueError):
        return {}
    if made.kind == "study":
        return costs_of_study(made, _store_of(made))
    if values is None or not scores.is_scores(values):
        return {}
    arms = values["arms"]
    return costs_of_models(made, arms, {} if set(arms) == {scores.MODEL} else _store_of(made))


def _store_of(made: StageResult) -> Mapping[str, StageResult]:
    """The results of the workspace that a result lies in, `WORKSPACE/store/done/KEY`, by digest."""
    return by_digest(Workspace(made.folder.parents[2]))
