"""Old versions of a model lose their files and keep their record."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from kepipe.config import ConfigError
from kepipe.tracking.registry import ARCHIVED, Version, champions, versions
from kepipe.tracking.store import Store


@dataclass(frozen=True)
class Archived:
    """What `archive` went through: version → why it is kept, and the versions that were archived."""

    kept: dict[int, str]
    archived: tuple[int, ...]


def archive(store: Store, name: str, keep: int, *, dry_run: bool = False) -> Archived:
    """Delete the files of all versions but the newest `keep`, those that an alias holds, and the champion of before, to
    which one can go back. Figures, decisions and reasons stay in the registry.

    Safe to repeat after a kill. Raises ConfigError for a name that is not registered.
    """
    if keep < 1:
        raise ConfigError(f"--keep {keep}: expected 1 or more")
    with store.lock(name):
        known = versions(store.client, name)
        before = [number for number in champions(store, name)[:-1] if number in {v.version for v in known}]
        kept = {
            version.version: why for place, version in enumerate(known) if (why := _why(version, place, keep))
        }
        for number in before[-1:]:
            kept.setdefault(number, "was champion before")
        gone = tuple(v.version for v in known if v.version not in kept and ARCHIVED not in v.tags)
        for number in () if dry_run else gone:
            _archive(store, name, number)
    return Archived(kept, gone)


def _why(version: Version, place: int, keep: int) -> str:
    if version.aliases:
        return ", ".join(version.aliases)
    return "among the newest" if place < keep else ""


def _archive(store: Store, name: str, number: int) -> None:
    """The tag first: a version that says so and still has files is archived again by whoever repeats it."""
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    version = store.client.get_model_version(name, str(number))
    model = str(version.source).removeprefix("models:/")
    if "/" not in model:
        with suppress(MlflowException):  # gone already
            logged = store.client.get_logged_model(model)
            files: Any = get_artifact_repository(logged.artifact_location)
            with suppress(FileNotFoundError):
                files.delete_artifacts()
            store.client.delete_logged_model(model)
    at = time.strftime("%Y-%m-%d %H:%M:%S")
    store.client.set_model_version_tag(name, str(number), ARCHIVED, at)
