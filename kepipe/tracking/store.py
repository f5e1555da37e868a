"""Where runs are kept: an MLflow store, and what to make of its failures."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlparse

from kepipe.files import lock, sqlite_address, sqlite_file
from kepipe.flow.artifact import hash_json
from kepipe.redaction import redact, without_secrets
from kepipe.terminal import echo
from kepipe.tracking import database
from kepipe.tracking.cursor import forget_cursors

if TYPE_CHECKING:
    from mlflow.store.entities.paged_list import PagedList
    from mlflow.tracking import MlflowClient

T = TypeVar("T")
PAUSES = (0.2, 1.0, 3.0)
"""Seconds before an action is tried again at a store that answers."""
QUICK = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
"""MLflow tries seven times with growing pauses; the journal makes that patience needless."""
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
KIND = {"mlflow.experimentKind": "custom_model_development"}
"""What MLflow's pages open an experiment as: training runs and models, not prompts and traces."""
PASSING = (401, 403, 408, 409, 429)
"""Client errors of HTTP that may be mended without the request being changed."""


class StoreUnavailable(Exception):
    """The store cannot be reached now. What was to be sent stays in the journal."""


class RefusedError(Exception):
    """The store answers, but will not do this."""


def store_uri(workspace: Path) -> str:
    """The address of the store: MLFLOW_TRACKING_URI, or a SQLite file in the workspace."""
    return os.environ.get("MLFLOW_TRACKING_URI") or sqlite_address((workspace / "mlflow.db").resolve())


def is_server(uri: str) -> bool:
    """Whether the address is that of a server that others run."""
    return urlparse(uri).scheme in ("http", "https", "databricks", "uc")


def reachable(uri: str) -> bool:
    """Whether a server answers at the address, within seconds; a file counts as reachable where it can be written."""
    place = urlparse(uri)
    if place.scheme in ("http", "https"):
        try:
            with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=3):
                return True
        except urllib.error.HTTPError:
            return True  # it answers, if only to refuse
        except OSError:
            return False
    file = sqlite_file(uri)
    if file is None and place.scheme not in ("file", ""):
        return True  # a database elsewhere: who connects to it will see
    file = file or Path(place.path)
    existing = next((folder for folder in (file, *file.parents) if folder.exists()), Path())
    return os.access(existing, os.W_OK)


@dataclass(frozen=True)
class Store:
    """A connected MLflow store."""

    uri: str
    client: MlflowClient
    artifacts: str | None
    """Where new experiments keep their files; None: where the server likes."""
    scratch: Path
    """Where files are put together, in the workspace: what is linked from there takes no space."""

    def experiment(self, name: str) -> str:
        """Id of the experiment of this name, created or restored where it has to be, be it by others at once."""
        from mlflow.exceptions import MlflowException

        experiment = self.client.get_experiment_by_name(name)
        if experiment is None:
            place = f"{self.artifacts}/{name}" if self.artifacts else None
            try:
                created: str = self.client.create_experiment(name, artifact_location=place, tags=KIND)
                return created
            except MlflowException:
                experiment = self.client.get_experiment_by_name(name)
                if experiment is None:  # no other made it meanwhile
                    raise
        if experiment.lifecycle_stage == "deleted":
            self.client.restore_experiment(experiment.experiment_id)
        return str(experiment.experiment_id)

    def lock(self, model: str) -> AbstractContextManager[bool]:
        """Keep others of this store from changing a registered model. Of a server only those of this workspace: it has
        no locks of its own."""
        file = sqlite_file(self.uri)
        folder = self.scratch if file is None else file.parent / "tracking"
        return lock(folder / f"registry-{hash_json(model)[:16]}.lock")

    def attempt(self, action: Callable[[], T]) -> T:
        """Do it, again after a pause where that may help. Raises StoreUnavailable or RefusedError."""
        import mlflow.exceptions

        for pause in PAUSES:
            try:
                return action()
            except (mlflow.exceptions.MlflowException, OSError) as error:
                reason = error
                if _is_final(error):
                    break
                self.check()
                time.sleep(pause)
        raise RefusedError(_first_line(reason)) from reason

    def check(self) -> None:
        """Raise StoreUnavailable unless the store answers."""
        import mlflow.exceptions

        try:
            self.client.search_experiments(max_results=1)
        except (mlflow.exceptions.MlflowException, OSError) as error:
            raise StoreUnavailable(f"{without_secrets(self.uri)}: {_first_line(error)}") from error


def connect(workspace: Path) -> Store:
    """The store of a workspace. Raises StoreUnavailable where it cannot be opened."""
    for name, value in {**QUIET, **QUICK}.items():
        os.environ.setdefault(name, value)
    import mlflow
    from mlflow.tracking import MlflowClient

    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    uri = store_uri(workspace)
    registry = os.environ.get("MLFLOW_REGISTRY_URI") or uri
    file = sqlite_file(uri)
    (workspace / "tracking").mkdir(parents=True, exist_ok=True)
    artifacts = (workspace / "mlartifacts").resolve().as_uri() if file is not None else None
    mlflow.set_tracking_uri(uri)  # parts of MLflow look here although the client was told
    mlflow.set_registry_uri(registry)
    try:
        if file is not None and artifacts is not None:
            if (aside := database.ensure(file, artifacts)) is not None:
                echo(
                    f"tracking: {file.name} was no database and is kept as {aside.name}; a new one is filled from the "
                    "journals",
                    err=True,
                )
                forget_cursors(workspace)
            if file == (workspace / "mlflow.db").resolve():  # else others may share it
                database.follow(file, artifacts)
        client = MlflowClient(tracking_uri=uri, registry_uri=registry)
        store = Store(uri, client, artifacts, scratch=workspace / "tracking")
        store.check()
    except (mlflow.exceptions.MlflowException, OSError, sqlite3.Error) as error:
        raise StoreUnavailable(f"{without_secrets(uri)}: {_first_line(error)}") from error
    return store


def every(search: Callable[[str | None], PagedList[T]]) -> Iterator[T]:
    """All that a search of MLflow's finds: it answers in pages, each with the token of the next one.

    `search` is given a token, None for the first page.
    """
    page = search(None)
    yield from page
    while page.token:
        page = search(page.token)
        yield from page


def _is_final(error: Exception) -> bool:
    """Whether the same request would fail again: a client error, or a file that is gone."""
    if isinstance(error, FileNotFoundError):
        return True
    if "IntegrityError" in str(error):  # another process wrote the same at the same moment
        return False
    status = getattr(error, "get_http_status_code", None)
    return status is not None and 400 <= status() < 500 and status() not in PASSING


def _first_line(error: Exception) -> str:
    message = redact(str(error)).strip()
    if "malformed" in message:
        return "the database is damaged: move it away, and `kepipe track sync --all` fills a new one from the journals"
    return message.splitlines()[0][:300] if message else type(error).__name__
