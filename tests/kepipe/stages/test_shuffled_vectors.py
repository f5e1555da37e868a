"""The control with vectors of other entities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kepipe.flow.stage import StageContext
from kepipe.stages.artifacts import Vectors
from kepipe.stages.shuffled_vectors import SHUFFLED_VECTORS
from kg.vectors import TABLE, map_table, open_vectors, read_ids, save_vectors


def shuffled(root: Path, name: str, seed: int = 0) -> Path:
    for part in ("out", "scratch"):
        (root / name / part).mkdir(parents=True)
    context = StageContext(root / name / "out", root / name / "scratch", seed, "cpu", lambda event: None)
    inputs = SHUFFLED_VECTORS.inputs(Vectors(root / "true", "", "embed"))
    SHUFFLED_VECTORS.run(inputs, SHUFFLED_VECTORS.config(), context)
    return context.out


def test_shuffled_vectors_are_a_permutation_without_fixed_points(tmp_path: Path) -> None:
    true = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
    relations = np.ones((2, 4), np.float32)
    save_vectors(tmp_path / "true", [f"Q{n}" for n in range(50)], true, relations, ["P1", "P2"])
    one, again, other = (shuffled(tmp_path, name, seed) for name, seed in [("a", 0), ("b", 0), ("c", 1)])
    wrong = open_vectors(one)
    assert list(wrong.ids) == [f"Q{n}" for n in range(50)]
    assert not (wrong.matrix == true).all(1).any()
    np.testing.assert_array_equal(wrong.matrix[np.lexsort(wrong.matrix.T)], true[np.lexsort(true.T)])
    np.testing.assert_array_equal(map_table(one / TABLE, "relations"), relations)
    assert read_ids(one / "relations.txt") == ["P1", "P2"]
    assert (one / TABLE).read_bytes() == (again / TABLE).read_bytes()
    assert (one / TABLE).read_bytes() != (other / TABLE).read_bytes()


def test_single_vector_cannot_be_shuffled(tmp_path: Path) -> None:
    save_vectors(tmp_path / "true", ["Q1"], np.ones((1, 4), np.float32))
    with pytest.raises(ValueError, match="cannot be shuffled"):
        shuffled(tmp_path, "a")
