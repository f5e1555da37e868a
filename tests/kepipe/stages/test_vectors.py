"""Imported vectors: matched to entities by id, further id, or unique label."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kepipe.flow.events import Noted
from kepipe.stages.artifacts import Graph
from kepipe.stages.vectors import VECTORS, VectorsConfig
from kg.schema import Entity, Relation
from kg.vectors import open_vectors
from kg.writer import GraphWriter
from tests.support.stages import run_stage


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    writer = GraphWriter(tmp_path / "graph")
    for id, label in (("q1", "Oslo"), ("q2", "New York"), ("q3", "Springfield"), ("q4", "Springfield")):
        writer.add_entity(Entity(id, label))
    writer.add_further_ids(0, ["MESH:1"])
    writer.add_relation(Relation("r", "r"))
    writer.add_triples("train", np.array([[0, 0, 1], [2, 0, 3]], np.int32))
    writer.finish()
    return Graph(tmp_path / "graph", "", name="graph")


def test_imported_vectors_match_by_id_further_id_and_label(tmp_path: Path, graph: Graph) -> None:
    file = tmp_path / "v.txt"
    file.write_text("5 2\nMESH:1 1 2\nNew_York 3 4\nSpringfield 5 6\nq4 7 8\nunknown 9 9\n")
    events = run_stage(VECTORS, VECTORS.inputs(graph), VectorsConfig(path=file), tmp_path / "run")
    made = open_vectors(tmp_path / "run/out")
    assert list(made.ids) == ["q1", "q2", "q4"]
    np.testing.assert_array_equal(made.matrix, [[1, 2], [3, 4], [7, 8]])
    notes = [event.message for event in events if isinstance(event, Noted)]
    assert notes == [
        "3 of 4 entities have a vector, of width 2",
        "taken: vectors of entities: 3 (ids 1, further ids 1, labels with _ for blanks 1)",
        "left out: vectors of no entity: 2",
    ]
    assert VECTORS.fingerprint(VectorsConfig(path=file)).keys() == {"v.txt"}


def test_imported_vectors_of_another_graph_are_rejected(tmp_path: Path, graph: Graph) -> None:
    file = tmp_path / "v.txt"
    file.write_text("x 1 2\n")
    with pytest.raises(
        ValueError, match=r"none of its 1 vectors belongs to an entity of the graph; they are named 'x'"
    ):
        run_stage(VECTORS, VECTORS.inputs(graph), VectorsConfig(path=file), tmp_path / "run")
