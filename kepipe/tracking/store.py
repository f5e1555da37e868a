"""Connection to the MLflow store, with retries and error classes."""

from __future__ import annotations

import logging
import os
import sqlite3
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlparse

from kepipe.files import lock, sqlite_address, sqlite_file, writable
from kepipe.flow.artifact import hash_json
from kepipe.redaction import redact, without_secrets
from kepipe.terminal import echo
from kepipe.tracking import database
from kepipe.tracking.cursor import forget_cursors

if TYPE_CHECKING:
    from mlflow.store.entities.paged_list import PagedList
    from mlflow.tracking import MlflowClient

T = TypeVar("T")
RETRY_DELAYS = (0.2, 1.0, 3.0)
"""Seconds before each retry of a request to a reachable store."""
FAIL_FAST = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
"""No long retries in MLflow (by default seven with growing pauses): undelivered events stay in the journal."""
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Tag that makes MLflow's UI show an experiment as training runs and models, not as prompts and traces."""
RETRYABLE = (401, 403, 408, 409, 429)
"""HTTP client errors for which repeating the same request may succeed."""
STORAGE_ERRORS = {
    "boto3.exceptions": ("Boto3Error",),
    "botocore.exceptions": ("BotoCoreError", "ClientError"),
    "azure.core.exceptions": ("AzureError",),
    "google.api_core.exceptions": ("GoogleAPIError",),
}
"""Module → errors of the clients with which MLflow reaches artifact storage."""


class StoreUnavailable(Exception):
    """The store is unreachable. Undelivered events stay in the journal."""


class RequestRejected(Exception):
    """The store is reachable but rejected a request."""


def store_uri(workspace: Path) -> str:
    """The URI of the store: MLFLOW_TRACKING_URI, or a SQLite file in the workspace."""
    return os.environ.get("MLFLOW_TRACKING_URI") or sqlite_address((workspace / "mlflow.db").resolve())


def is_server(uri: str) -> bool:
    """Whether a URI is that of a tracking server."""
    return urlparse(uri).scheme in ("http", "https", "databricks", "uc")


def reachable(uri: str) -> bool:
    """Whether a server responds at a URI within seconds; a file counts as reachable if it is writable."""
    place = urlparse(uri)
    if place.scheme in ("http", "https"):
        try:
            with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=3):
                return True
        except urllib.error.HTTPError:
            return True  # it responds, even if with an error
        except OSError:
            return False
    file = sqlite_file(uri)
    if file is None and place.scheme not in ("file", ""):
        return True  # a remote database: only connecting to it can tell
    return writable(file or Path(place.path))


@dataclass(frozen=True)
class Store:
    """A connected MLflow store."""

    uri: str
    client: MlflowClient
    artifacts: str | None
    """Artifact URI of new experiments; None: the server's default."""
    scratch: Path
    """Folder in the workspace for temporary files, so that they can be hard links to the store's."""

    def experiment(self, name: str) -> str:
        """Id of the experiment of this name; it is created or restored if necessary. Safe for several processes at
        once."""
        from mlflow.exceptions import MlflowException

        experiment = self.client.get_experiment_by_name(name)
        if experiment is None:
            place = f"{self.artifacts}/{name}" if self.artifacts else None
            try:
                created: str = self.client.create_experiment(name, artifact_location=place, tags=KIND)
                return created
            except MlflowException:
                experiment = self.client.get_experiment_by_name(name)
                if experiment is None:  # not created by another process meanwhile
                    raise
        if experiment.lifecycle_stage == "deleted":
            self.client.restore_experiment(experiment.experiment_id)
        return str(experiment.experiment_id)

    def lock(self, model: str) -> AbstractContextManager[bool]:
        """Lock a registered model against other processes that use this store. For a server, only against processes of
        this workspace, since MLflow has no locks."""
        file = sqlite_file(self.uri)
        folder = self.scratch if file is None else file.parent / "tracking"
        return lock(folder / f"registry-{hash_json(model)[:16]}.lock")

    def attempt(self, action: Callable[[], T], experiment: str = "") -> T:
        """Run an action, with retries if they may help. `experiment`: the name of the one whose artifacts it may write.

        Raises StoreUnavailable or RequestRejected.
        """
        for pause in RETRY_DELAYS:
            try:
                return action()
            except _errors() as error:
                reason = error
                if isinstance(error, ImportError):  # of this installation, not of the request
                    raise StoreUnavailable(_first_line(error)) from error
                if _is_final(error):
                    break
                self.check()
                self._check_artifacts(experiment)
                time.sleep(pause)
        raise RequestRejected(_first_line(reason)) from reason

    def check(self) -> None:
        """Raise StoreUnavailable unless the store responds."""
        try:
            self.client.search_experiments(max_results=1)
        except _errors() as error:
            raise StoreUnavailable(f"{without_secrets(self.uri)}: {_first_line(error)}") from error

    def _check_artifacts(self, experiment: str) -> None:
        """Raise StoreUnavailable unless the artifact storage of an experiment responds, which may be another server
        than the store."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        found = self.client.get_experiment_by_name(experiment) if experiment else None
        if found is None:
            return
        try:
            get_artifact_repository(found.artifact_location).list_artifacts()
        except _errors() as error:
            place = without_secrets(found.artifact_location)
            raise StoreUnavailable(f"artifacts at {place}: {_first_line(error)}") from error


def connect(workspace: Path) -> Store:
    """The store of a workspace, for reading alone where that is not writable. Raises StoreUnavailable if it cannot be
    opened."""
    for name, value in {**QUIET, **FAIL_FAST}.items():
        os.environ.setdefault(name, value)
    import mlflow
    from mlflow.tracking import MlflowClient

    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    uri = store_uri(workspace)
    registry = os.environ.get("MLFLOW_REGISTRY_URI") or uri
    file = sqlite_file(uri)
    if writable(workspace):
        (workspace / "tracking").mkdir(parents=True, exist_ok=True)
    artifacts = (workspace / "mlartifacts").resolve().as_uri() if file is not None else None
    mlflow.set_tracking_uri(uri)  # parts of MLflow ignore the client's URI and use this one
    mlflow.set_registry_uri(registry)
    try:
        if file is not None and artifacts is not None:
            if (aside := database.ensure(file, artifacts)) is not None:
                echo(
                    f"tracking: {file.name} was not a valid database and was moved to {aside.name}; "
                    "a new one is filled from the journals",
                    err=True,
                )
                forget_cursors(workspace)
            if file == (workspace / "mlflow.db").resolve():  # otherwise it may be shared
                database.update_locations(file, artifacts)
        client = MlflowClient(tracking_uri=uri, registry_uri=registry)
        store = Store(uri, client, artifacts, scratch=workspace / "tracking")
        store.check()
    except _errors() as error:
        raise StoreUnavailable(f"{without_secrets(uri)}: {_first_line(error)}") from error
    return store


def paginate(search: Callable[[str | None], PagedList[T]]) -> Iterator[T]:
    """All results of a paged MLflow search. `search`: token of a page, None for the first → page."""
    page = search(None)
    yield from page
    while page.token:
        page = search(page.token)
        yield from page


def _errors() -> tuple[type[Exception], ...]:
    """What MLflow, SQLite and the loaded clients of artifact storage raise; ImportError where one is missing."""
    import mlflow.exceptions

    clients = ((sys.modules.get(module), names) for module, names in STORAGE_ERRORS.items())
    found = [getattr(module, name) for module, names in clients if module is not None for name in names]
    return (mlflow.exceptions.MlflowException, OSError, ImportError, sqlite3.Error, *found)


def _is_final(error: Exception) -> bool:
    """Whether the same request would fail again: a client error or a missing file."""
    if isinstance(error, FileNotFoundError):
        return True
    if "IntegrityError" in str(error):  # another process wrote the same row at the same time
        return False
    status = getattr(error, "get_http_status_code", None)
    return status is not None and 400 <= status() < 500 and status() not in RETRYABLE


def _first_line(error: Exception) -> str:
    message = redact(str(error)).strip()
    if "malformed" in message:
        return (
            "the database is damaged: move it away and run `kepipe track sync --all`, which fills a new one from the "
            "journals"
        )
    return message.splitlines()[0][:300] if message else type(error).__name__
