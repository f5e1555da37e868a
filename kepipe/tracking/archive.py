"""Archive old versions of a registered model: their files are deleted, their metadata is kept."""

from __future__ import annotations

import time
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import Any

from kepipe.config import ConfigError
from kepipe.tracking.registry import ARCHIVED, Version, champions, versions
from kepipe.tracking.store import Store


@dataclass(frozen=True)
class Archived:
    """Result of `archive`. `kept`: version → reason; `archived`: the versions whose files were deleted."""

    kept: dict[int, str]
    archived: tuple[int, ...]


def archive(store: Store, name: str, keep: int, *, dry_run: bool = False) -> Archived:
    """Delete the files of all versions except the newest `keep`, those with an alias, and the previous champion, which
    is the target of a rollback. Metrics, decisions and reasons stay in the registry.

    Idempotent, also after a kill. Raises ConfigError for a name that is not registered.
    """
    if keep < 1:
        raise ConfigError(f"--keep {keep}: expected 1 or more")
    with nullcontext() if dry_run else store.lock(name):
        known = versions(store.client, name)
        earlier = [number for number in champions(store, name)[:-1] if number in {v.version for v in known}]
        kept = {
            version.version: why
            for place, version in enumerate(known)
            if (why := _reason_to_keep(version, place, keep))
        }
        for number in earlier[-1:]:
            kept.setdefault(number, "previous champion")
        archived = tuple(v.version for v in known if v.version not in kept and ARCHIVED not in v.tags)
        for number in () if dry_run else archived:
            _archive(store, name, number)
    return Archived(kept, archived)


def _reason_to_keep(version: Version, place: int, keep: int) -> str:
    if version.aliases:
        return ", ".join(version.aliases)
    return "one of the newest" if place < keep else ""


def _archive(store: Store, name: str, number: int) -> None:
    """Delete the files, then set the tag: after a kill in between, the next call deletes them again and sets it."""
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    version = store.client.get_model_version(name, str(number))
    model = str(version.source).removeprefix("models:/")
    if "/" not in model:
        with suppress(MlflowException):  # deleted already
            logged = store.client.get_logged_model(model)
            files: Any = get_artifact_repository(logged.artifact_location)
            with suppress(FileNotFoundError):
                files.delete_artifacts()
            store.client.delete_logged_model(model)
    at = time.strftime("%Y-%m-%d %H:%M:%S")
    store.client.set_model_version_tag(name, str(number), ARCHIVED, at)
