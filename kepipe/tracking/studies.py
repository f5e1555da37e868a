"""Finished studies, and scores outside of them, in an MLflow store, read from the artifacts of their runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from kepipe.studies import costs, results, scores
from kepipe.studies.results import StudyResult
from kepipe.studies.stage_scores import StageScores, newest_scores, without_groups
from kepipe.tracking.store import Store, paginate

if TYPE_CHECKING:
    from mlflow.entities import Run

OF_A_SERIES = ("kepipe.arm", "kepipe.trial")
"""Tags of the runs of a study's arms, and of a tuning's trials."""


def studies(store: Store) -> Iterator[StudyResult]:
    """The newest finished study of each pipeline, by name. Those delivered by earlier versions have no costs."""
    for name, runs in _finished(store):
        for run in runs:
            study, about = _read(store, run, results.FILE)
            if study is not None:
                yield results.from_json(study, name, **about)
                break


def scores_outside(store: Store) -> list[StageScores]:
    """The newest scores of each stage that is neither of a study's arm nor of a trial, by pipeline and time."""
    found = []
    for name, runs in _finished(store):
        seen: set[str] = set()
        for run in runs:
            tags = run.data.tags
            stage = str(tags.get("kepipe.stage", ""))
            if "kepipe.kind" not in tags or stage in seen or any(tag in tags for tag in OF_A_SERIES):
                continue
            seen.add(stage)
            content, about = _read(store, run, scores.FILE)
            if scores.is_scores(content):
                found.append(StageScores(name, stage, without_groups(scores.from_json(content)), **about))
    return newest_scores(found)


def _finished(store: Store) -> Iterator[tuple[str, list[Run]]]:
    """The experiments by name, with their finished runs, the newest first."""
    client = store.client
    experiments = paginate(lambda token: client.search_experiments(page_token=token))
    for experiment in sorted(experiments, key=lambda each: str(each.name)):
        runs = client.search_runs(
            [experiment.experiment_id],
            "attributes.status = 'FINISHED'",
            order_by=["attributes.start_time DESC"],
        )
        yield str(experiment.name), list(runs)


def _read(store: Store, run: Run, name: str) -> tuple[Any, dict[str, Any]]:
    """The content of an artifact of a run, None if it has none of this name; and what is known about it."""
    client, number = store.client, run.info.run_id
    names = {file.path for file in client.list_artifacts(number)}
    if name not in names:
        return None, {}
    with TemporaryDirectory() as folder:
        content, cost = (
            json.loads(Path(client.download_artifacts(number, each, folder)).read_text("utf-8"))
            if each in names
            else {}
            for each in (name, costs.FILE)
        )
    about = {"made": run.info.start_time / 1000, "place": f"{store.uri}, run {number}"}
    return content, {**about, "costs": costs.costs_from_json(cost)}
