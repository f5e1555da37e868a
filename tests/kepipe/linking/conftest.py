from pathlib import Path

import pytest

from kg.schema import Relation
from kg.store import Graph
from kg.writer import write_graph
from tests.support.linking import ENTITIES, TRIPLES


@pytest.fixture(scope="session")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    folder: Path = tmp_path_factory.mktemp("places")
    return write_graph(folder, ENTITIES, [Relation("in", "in")], {"train": TRIPLES})
