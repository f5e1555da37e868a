"""The folder of a registered model."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kepipe.config import ConfigError
from kepipe.tracking import database
from kepipe.tracking.model_uri import fetch
from kepipe.tracking.store import Store
from tests.support.serving import register
from tests.support.tasks import base_model


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_registered_model_is_neither_copied_nor_changed(
    store: Store, space: Path, fresh: str, tmp_path: Path
) -> None:
    register(store, fresh, made := base_model(tmp_path / "made", layers=1).folder, 0.5)
    before = contents(space / "mlartifacts")
    found = fetch(f"models:/{fresh}@champion", space, tmp_path / "copied")
    assert space / "mlartifacts" in found.parents
    assert (found / "model.safetensors").read_bytes() == (made / "model.safetensors").read_bytes()
    assert contents(space / "mlartifacts") == before
    assert not (tmp_path / "copied").exists()


def test_shared_store_is_read_where_its_models_lie(
    store: Store, space: Path, fresh: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the workspace of who asks is writable plays no part."""
    register(store, fresh, base_model(tmp_path / "made", layers=1).folder, 0.5)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri)
    found = fetch(f"models:/{fresh}@champion", tmp_path / "workspace", tmp_path / "copied")
    assert space / "mlartifacts" in found.parents
    assert not (tmp_path / "copied").exists()


def test_missing_files_are_told_with_their_place(
    store: Store, space: Path, fresh: str, tmp_path: Path
) -> None:
    register(store, fresh, base_model(tmp_path / "made", layers=1).folder, 0.5)
    found = fetch(f"models:/{fresh}@champion", space, tmp_path)
    folder = next(each for each in found.parents if (each / "MLmodel").exists())
    shutil.rmtree(folder)
    with pytest.raises(ConfigError, match=f"models:/{fresh}@champion: its files are missing: {folder}"):
        fetch(f"models:/{fresh}@champion", space, tmp_path)


def test_artifacts_move_with_the_file_of_the_store(store: Store, space: Path, tmp_path: Path) -> None:
    shutil.copy(space / "mlflow.db", tmp_path / "mlflow.db")
    before, here = ((folder / "mlartifacts").as_uri() for folder in (space, tmp_path))
    assert database.moved_with(tmp_path / "mlflow.db", f"{before}/1/m") == f"{here}/1/m"
    assert database.moved_with(tmp_path / "mlflow.db", "s3://models/1/m") == "s3://models/1/m"
    assert database.moved_with(space / "mlflow.db", f"{before}/1/m") == f"{before}/1/m"
