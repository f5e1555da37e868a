"""Journals delivered to a store, and the resulting runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kepipe.tracking.cursor import Cursor
from kepipe.tracking.delivery import Delivery
from kepipe.tracking.store import Store


def no_score(_champion: Path, _offered: Path | None, _evaluation: Path) -> None:
    return None


def deliver(journal: Path, store: Store) -> Cursor:
    delivery = Delivery(journal, store, no_score)
    delivery.advance()
    return delivery.cursor


def runs(store: Store, pipeline: str) -> dict[str, Any]:
    """MLflow runs of a pipeline by name, including the pipeline's own run, which is found by its id."""
    experiment = store.client.get_experiment_by_name(pipeline)
    found = store.client.search_runs([experiment.experiment_id])
    assert len({run.info.run_name for run in found}) == len(found)
    return {run.info.run_name.removeprefix(f"{pipeline}, "): run for run in found}
