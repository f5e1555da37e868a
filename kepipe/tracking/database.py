"""The SQLite file of a workspace's runs, made whole.

MLflow lays its tables in dozens of steps, and two processes that do so at once, or one that is killed on the way,
leave a file that no MLflow opens again. So one process lays them, under a lock, in a file beside; a rename makes
it the store.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from kepipe.files import lock, replacing, sqlite_address

PLACES = {
    "experiments": "artifact_location",
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
    "model_versions": "storage_location",
}
"""Table → column with the whole address of a file or folder."""


def ensure(file: Path, artifacts: str) -> Path | None:
    """Make the store's file where there is none. One that is no database is set aside; returns where it is kept.

    `artifacts` is where MLflow's own first experiment keeps files.
    """
    if is_store(file):
        return None
    with lock(file.with_name(f"{file.name}.lock")):
        if is_store(file):
            return None
        aside = file.with_name(f"{file.name}.damaged-{time.time_ns()}") if file.exists() else None
        if aside is not None:
            file.rename(aside)
        with replacing(file) as unfinished:
            _lay_tables(unfinished, artifacts)
        return aside


def is_store(file: Path) -> bool:
    """Whether a file is there and holds MLflow's tables, be it locked or read-only."""
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


def follow(file: Path, artifacts: str) -> None:
    """Let the store name its files where they lie now, below `artifacts`: the workspace may have been moved."""
    with closing(sqlite3.connect(file)) as connection, connection:
        first = connection.execute(
            "SELECT artifact_location FROM experiments WHERE experiment_id = 0"
        ).fetchone()
        before = str(first[0]).removesuffix("0") if first else ""
        if before in ("", f"{artifacts}/"):
            return
        for table, column in PLACES.items():
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
                (f"{artifacts}/", len(before) + 1, len(before), before),
            )


def _lay_tables(file: Path, artifacts: str) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore(sqlite_address(file), artifacts)  # type: ignore[no-untyped-call]
    store.engine.dispose()
