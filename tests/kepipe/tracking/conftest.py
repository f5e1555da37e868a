"""A real store: MLflow on an SQLite file, made once. Tests keep apart by the names of their pipelines and models."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from kepipe.tracking.store import Store, connect


@pytest.fixture(scope="session")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workspace whose store is its own."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
            patch.delenv(name, raising=False)
        yield tmp_path_factory.mktemp("space")


@pytest.fixture(scope="session")
def store(space: Path) -> Store:
    return connect(space)


_numbers = itertools.count()


@pytest.fixture
def fresh() -> str:
    """A name that no other test uses."""
    return f"tiny-{next(_numbers)}"
