"""Finished studies in an MLflow store, read from the artifacts of their runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from kepipe.studies.results import FILE, StudyResult, from_json
from kepipe.tracking.store import Store, paginate


def studies(store: Store) -> Iterator[StudyResult]:
    """The newest finished study of each pipeline, by name. The arms' costs are not in the store."""
    client, found = store.client, dict[str, StudyResult]()
    experiments = paginate(lambda token: client.search_experiments(page_token=token))
    for experiment in sorted(experiments, key=lambda each: str(each.name)):
        runs = client.search_runs(
            [experiment.experiment_id],
            "attributes.status = 'FINISHED'",
            order_by=["attributes.start_time DESC"],
        )
        for run in runs:
            if experiment.name in found:
                break
            if not any(file.path == FILE for file in client.list_artifacts(run.info.run_id)):
                continue
            with TemporaryDirectory() as folder:
                values = json.loads(
                    Path(client.download_artifacts(run.info.run_id, FILE, folder)).read_text("utf-8")
                )
            made, place = run.info.start_time / 1000, f"{store.uri}, run {run.info.run_id}"
            found[experiment.name] = from_json(values, str(experiment.name), made=made, place=place)
    yield from found.values()
