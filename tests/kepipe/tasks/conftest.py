from pathlib import Path

import pytest

from tests.kepipe.tasks.world import World, make_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder: Path = tmp_path_factory.mktemp("world")
    return make_world(folder)
