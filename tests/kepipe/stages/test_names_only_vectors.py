"""The names-only control of vectors: all entities have the same vector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kepipe.flow.events import Metrics
from kepipe.stages.artifacts import Vectors
from kepipe.stages.names_only_vectors import NAMES_ONLY_VECTORS
from kg.vectors import TABLE, map_table, open_vectors, read_ids, save_vectors
from tests.support.toy_training import EventRecorder, context_in


def names_only(vectors: Path, folder: Path, recorder: EventRecorder | None = None) -> Path:
    context = context_in(folder, recorder)
    inputs = NAMES_ONLY_VECTORS.inputs(Vectors(vectors, "", name="embed"))
    NAMES_ONLY_VECTORS.run(inputs, NAMES_ONLY_VECTORS.config(), context)
    return context.out


def test_names_only_vectors_are_the_mean(tmp_path: Path) -> None:
    true = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
    relations = np.arange(8, dtype=np.float32).reshape(2, 4)
    ids = [f"Q{n}" for n in range(50)]
    save_vectors(tmp_path / "true", ids, true, relations, ["P1", "P2"])
    recorder = EventRecorder()
    one, again = (
        names_only(tmp_path / "true", tmp_path / "a", recorder),
        names_only(tmp_path / "true", tmp_path / "b"),
    )
    made = open_vectors(one)
    assert list(made.ids) == ids
    np.testing.assert_allclose(made.matrix, np.tile(true.mean(0), (50, 1)), rtol=1e-5, atol=1e-7)
    assert (made.matrix == made.matrix[0]).all(), "all vectors are equal"
    np.testing.assert_array_equal(map_table(one / TABLE, "relations"), relations)
    assert read_ids(one / "relations.txt") == ["P1", "P2"]
    assert (one / TABLE).read_bytes() == (again / TABLE).read_bytes()
    assert [event.values for event in recorder.events if isinstance(event, Metrics)] == [{"entities": 50}]


def test_names_only_vectors_without_relations(tmp_path: Path) -> None:
    save_vectors(tmp_path / "true", ["Q1", "Q2"], np.eye(2, 4, dtype=np.float32))
    made = names_only(tmp_path / "true", tmp_path / "a")
    assert open_vectors(made).matrix.tolist() == [[0.5, 0.5, 0.0, 0.0]] * 2
    assert not (made / "relations.txt").exists()


def test_empty_vectors_are_rejected(tmp_path: Path) -> None:
    save_vectors(tmp_path / "true", [], np.zeros((0, 4), np.float32))
    with pytest.raises(ValueError, match="embed: there are no vectors"):
        names_only(tmp_path / "true", tmp_path / "a")
