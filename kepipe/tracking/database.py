"""The SQLite file of a workspace's MLflow store, created atomically.

MLflow creates its tables in dozens of migrations. Two processes that do so at once, or one that is killed halfway,
leave a file that MLflow cannot open. So one process creates them under a lock in a temporary file, which is then
renamed.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from kepipe.files import lock, replacing, sqlite_address, sqlite_writable, writable

LOCATION_COLUMNS = {
    "experiments": "artifact_location",
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
    "model_versions": "storage_location",
}
"""Table → column with the absolute URI of a file or folder."""


def ensure(file: Path, artifacts: str) -> Path | None:
    """Create the store's file if it is missing. A file that is not a database is set aside; returns its new path.
    Raises PermissionError for a file to be created in a folder that is not writable.

    `artifacts`: URI of the artifact folder of MLflow's default experiment.
    """
    if is_store(file):
        return None
    if not writable(file.parent):
        raise PermissionError(f"there is no MLflow store, and {file.parent} is not writable")
    with lock(file.with_name(f"{file.name}.lock")):
        if is_store(file):
            return None
        aside = file.with_name(f"{file.name}.damaged-{time.time_ns()}") if file.exists() else None
        if aside is not None:
            file.rename(aside)
        with replacing(file) as unfinished:
            _create_tables(unfinished, artifacts)
        return aside


def is_store(file: Path) -> bool:
    """Whether a file exists and has MLflow's tables; a locked or read-only one counts too."""
    if not file.is_file():
        return False
    try:
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("SELECT count(*) FROM experiments").fetchone()
    except sqlite3.OperationalError as error:
        return "no such table" not in str(error)
    except sqlite3.DatabaseError:
        return False
    return True


def update_locations(file: Path, artifacts: str) -> None:
    """Rewrite the artifact URIs in the store to `artifacts`, since the workspace may have been moved. They stay as they
    are in a file that is not writable: see `moved_with`."""
    if not sqlite_writable(file):
        return
    with closing(sqlite3.connect(file)) as connection, connection:
        before = _location(connection)
        if before in ("", f"{artifacts}/"):
            return
        for table, column in LOCATION_COLUMNS.items():
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
                (f"{artifacts}/", len(before) + 1, len(before), before),
            )


def moved_with(file: Path, artifact: str) -> str:
    """The URI that an artifact of the store has if its folder was moved together with the store's file since that was
    last written: a backup, or a mount at another path."""
    with closing(sqlite3.connect(file)) as connection:
        before = _location(connection)
    if not before or not artifact.startswith(before):
        return artifact
    return f"{(file.parent / 'mlartifacts').resolve().as_uri()}/{artifact.removeprefix(before)}"


def _location(connection: sqlite3.Connection) -> str:
    """The URI of the artifact folder, with a slash, when the store was last written; empty if it is not known."""
    query = "SELECT artifact_location FROM experiments WHERE experiment_id = 0"
    first = connection.execute(query).fetchone()
    return str(first[0]).removesuffix("0") if first else ""


def _create_tables(file: Path, artifacts: str) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore(sqlite_address(file), artifacts)  # type: ignore[no-untyped-call]
    store.engine.dispose()
