from __future__ import annotations

import pytest

from kepipe.stages.artifacts import Shards
from tests.support.pretraining import write_shards


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Shards:
    return write_shards(tmp_path_factory.mktemp("shards"))
