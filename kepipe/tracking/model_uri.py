"""A registered model by its address, `models:/NAME@champion`: the model folder in it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kepipe.config import ConfigError
from kepipe.tracking.store import Store, StoreUnavailable, connect, is_server

REGISTERED = "models:/"
SCHEMES = (REGISTERED, "runs:/")


def parse(uri: str) -> tuple[str, str]:
    """The name in `models:/NAME@champion` or `models:/NAME/3`, and the alias or the version. Raises ValueError."""
    place = uri.removeprefix(REGISTERED)
    name, _, version = place.partition("@") if "@" in place else place.rpartition("/")
    if not uri.startswith(REGISTERED) or not name or not version or "/" in name:
        raise ValueError(f"{uri}: expected models:/NAME@champion or models:/NAME/3")
    return name, version


def address(name: str, version: str) -> str:
    """The address of a version, by its number or its alias."""
    return f"{REGISTERED}{name}/{version}" if version.isdecimal() else f"{REGISTERED}{name}@{version}"


def is_model_uri(name: str) -> bool:
    """Whether a name is the address of a model that MLflow keeps."""
    return name.startswith(SCHEMES)


def fetch(uri: str, workspace: Path, folder: Path) -> Path:
    """The model folder at an address of the workspace's store; what a server keeps is laid into `folder`.

    Nothing of it is run: the code that goes with it serves MLflow alone. Raises ConfigError where there is no such
    model, or none of kepipe's.
    """
    with _registry(uri, workspace) as store:
        import mlflow.artifacts
        from mlflow.models import Model

        place = str(folder) if is_server(store.uri) else None
        found = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=place))
        flavor = Model.load(str(found)).flavors.get("python_function", {})
    if not str(flavor.get("loader_module", "")).startswith("kepipe."):
        raise ConfigError(f"{uri}: not a model that kepipe registered")
    return found / str(flavor["data"])


@contextmanager
def opened_folder(name: str, workspace: Path) -> Iterator[Path]:
    """The model folder that is meant by a path or an address, as long as the block runs. Raises as `fetch`."""
    if not is_model_uri(name):
        yield Path(name)
        return
    with tempfile.TemporaryDirectory(prefix="kepipe-") as scratch:
        yield fetch(name, workspace, Path(scratch))


def version_of(uri: str, workspace: Path) -> str:
    """Which version an address means now: that of its alias, `models:/NAME@champion`, or what it says itself.

    Raises ConfigError where there is no such model or alias, or the store cannot be reached.
    """
    name, at, alias = uri.removeprefix("models:/").partition("@")
    if not at:
        return name.rpartition("/")[2]
    with _registry(uri, workspace) as store:
        return str(store.client.get_model_version_by_alias(name, alias).version)


def digest_of(uri: str, workspace: Path) -> str:
    """The digest of the result that a registered version was made of. Raises ConfigError where there is none."""
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
    """The workspace's store; what goes wrong with it while it is asked for `uri` is a ConfigError."""
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
