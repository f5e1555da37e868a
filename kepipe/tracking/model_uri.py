"""Model URIs such as `models:/NAME@champion`, and the model folders they refer to."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kepipe.config import ConfigError, read
from kepipe.files import sqlite_file
from kepipe.tracking import database
from kepipe.tracking.store import Store, StoreUnavailable, connect, is_server

REGISTERED = "models:/"
SCHEMES = (REGISTERED, "runs:/")


def parse(uri: str) -> tuple[str, str]:
    """Name and alias or version of `models:/NAME@champion` or `models:/NAME/3`. Raises ValueError."""
    place = uri.removeprefix(REGISTERED)
    name, _, version = place.partition("@") if "@" in place else place.rpartition("/")
    if not uri.startswith(REGISTERED) or not name or not version or "/" in name:
        raise ValueError(f"{uri}: expected models:/NAME@champion or models:/NAME/3")
    return name, version


def model_uri(name: str, version: str) -> str:
    """The URI of a version, given by number or alias."""
    return f"{REGISTERED}{name}/{version}" if version.isdecimal() else f"{REGISTERED}{name}@{version}"


def is_model_uri(name: str) -> bool:
    """Whether a name is the URI of an MLflow model."""
    return name.startswith(SCHEMES)


def fetch(uri: str, workspace: Path, folder: Path) -> Path:
    """The model folder of a URI in the workspace's store. A registered model that lies on this machine is read where it
    is, also if nothing may be written there; one on a server, or of a run, is copied to `folder`.

    The code that MLflow stores with the model is not executed. Raises ConfigError if the model does not exist or was
    not registered by kepipe.
    """
    with _registry(uri, workspace) as store:
        import mlflow.artifacts
        from mlflow.models import Model
        from mlflow.models.model import MLMODEL_FILE_NAME

        found = _stored_here(uri, store)
        if found is None:
            found = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(folder)))
        # not by `Model.load`, which takes a path for a URI, and `%41` in it for an A
        described = read(found / MLMODEL_FILE_NAME).data
        flavor = Model.from_dict(described).flavors.get("python_function", {})
    if not str(flavor.get("loader_module", "")).startswith("kepipe."):
        raise ConfigError(f"{uri}: not a model that kepipe registered")
    return found / str(flavor["data"])


def _stored_here(uri: str, store: Store) -> Path | None:
    """Where the files of a registered model lie; None for one of a run, or if they are not on this machine. Raises
    ConfigError if they are missing.

    Not by `download_artifacts`, which adds a file to the model.
    """
    if is_server(store.uri) or not uri.startswith(REGISTERED):
        return None
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
    from mlflow.store.artifact.models_artifact_repo import ModelsArtifactRepository

    stored = ModelsArtifactRepository.get_underlying_uri(uri)  # type: ignore[no-untyped-call]
    file = sqlite_file(store.uri)
    found = [
        get_artifact_repository(each)
        for each in (database.moved_with(file, stored) if file else stored, stored)
    ]
    places = [Path(each.artifact_dir) for each in found if isinstance(each, LocalArtifactRepository)]
    if places and not any(place.exists() for place in places):
        raise ConfigError(f"{uri}: its files are missing: {places[-1]}")
    return next((place for place in places if place.exists()), None)


@contextmanager
def opened_folder(name: str, workspace: Path) -> Iterator[Path]:
    """The model folder of a path or model URI, available within the block. Raises as `fetch`."""
    if not is_model_uri(name):
        yield Path(name)
        return
    with tempfile.TemporaryDirectory(prefix="kepipe-") as scratch:
        yield fetch(name, workspace, Path(scratch))


def version_of(uri: str, workspace: Path) -> str:
    """The version that a URI refers to now: `models:/NAME@champion` → the alias's version, `models:/NAME/3` → "3".

    Raises ConfigError for an unknown model or alias, or if the store is unreachable.
    """
    name, at, alias = uri.removeprefix("models:/").partition("@")
    if not at:
        return name.rpartition("/")[2]
    with _registry(uri, workspace) as store:
        return str(store.client.get_model_version_by_alias(name, alias).version)


def digest_of(uri: str, workspace: Path) -> str:
    """Digest of the stage result from which a version was registered. Raises ConfigError if it has none."""
    if not uri.startswith("models:/"):
        raise ConfigError(f"{uri}: expected models:/NAME@champion or models:/NAME/3")
    name = uri.removeprefix("models:/").partition("@")[0].partition("/")[0]
    number = version_of(uri, workspace)
    with _registry(uri, workspace) as store:
        tags = store.client.get_model_version(name, number).tags
    if "kepipe.digest" not in tags:
        raise ConfigError(f"{uri}: not a model that kepipe registered")
    return str(tags["kepipe.digest"])


@contextmanager
def _registry(uri: str, workspace: Path) -> Iterator[Store]:
    """The workspace's store; its errors during the block are raised as ConfigError about `uri`."""
    try:
        store = connect(workspace)
    except StoreUnavailable as reason:
        raise ConfigError(f"{uri}: the model registry cannot be reached: {reason}") from None
    from mlflow.exceptions import MlflowException

    try:
        yield store
    except (MlflowException, OSError) as error:
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConfigError(f"{uri}: {why} (`kepipe models list` shows what is registered)") from None
