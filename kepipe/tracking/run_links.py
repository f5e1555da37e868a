"""Addresses of MLflow's pages about stages, found by the digest of what they made."""

from __future__ import annotations

import os
from pathlib import Path

from kepipe.files import sqlite_file
from kepipe.redaction import without_secrets
from kepipe.tracking.cursor import Cursor, journal_of
from kepipe.tracking.store import Store, StoreUnavailable, connect, is_server, store_uri
from kepipe.tracking.tracker import SWITCH

DASHBOARD = "http://127.0.0.1:5000"
"""Where `kepipe dashboard` listens."""


class RunLinks:
    """Links to the MLflow runs of a workspace. Where MLflow cannot be reached there are none."""

    def __init__(self, workspace: Path, pipeline: str) -> None:
        self._workspace, self._pipeline = workspace, pipeline
        self._store: Store | None = None
        self._experiment: str | None = None
        self._given_up = False

    def find(self, run: str, stage: str, digest: str) -> str | None:
        """The page about stage `stage` of kepipe's run `run`; where that run took a stage from the cache, about the
        MLflow run that first made `digest`. None while there is none."""
        database = sqlite_file(store_uri(self._workspace))
        is_new = database is not None and not database.exists()  # the run's own delivery makes it
        if is_new or self._is_unavailable(run):
            return None
        try:
            self._store = self._store or connect(self._workspace)
        except StoreUnavailable:
            self._given_up = True
            return None
        own = f"tags.`kepipe.run` = '{run}' and tags.`kepipe.stage` = '{stage}'"
        return self._search(self._store, own) or self._search(
            self._store, f"tags.`kepipe.digest` = '{digest}'"
        )

    def may_come(self, run: str) -> bool:
        """Whether a run that is not in MLflow yet may still be delivered."""
        return os.environ.get(SWITCH, "").lower() != "off" and not self._is_unavailable(run)

    def _is_unavailable(self, run: str) -> bool:
        journal = journal_of(self._workspace, run)
        return self._given_up or (journal.exists() and bool(Cursor.load(journal).unavailable))

    def _search(self, store: Store, query: str) -> str | None:
        from mlflow.exceptions import MlflowException

        try:
            if self._experiment is None:
                experiment = store.client.get_experiment_by_name(self._pipeline)
                self._experiment = None if experiment is None else str(experiment.experiment_id)
            if self._experiment is None:
                return None
            order = ["attributes.start_time ASC"]
            found = store.client.search_runs([self._experiment], query, max_results=1, order_by=order)
        except (MlflowException, OSError):
            self._given_up = True
            return None
        address = without_secrets(store.uri).rstrip("/") if is_server(store.uri) else DASHBOARD
        where = f"{address}/#/experiments/{self._experiment}/runs"
        return f"{where}/{found[0].info.run_id}" if found else None
