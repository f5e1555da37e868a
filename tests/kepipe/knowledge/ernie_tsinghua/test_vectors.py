"""Entity vectors: by row, and gathered per batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kepipe.arrays import Ints
from kepipe.data.batch import Batch
from kepipe.knowledge.ernie_tsinghua.vectors import EntityVectors, attach
from kg.schema import Entity, Relation, Triple
from kg.vectors import TABLE, Vectors, save_vectors
from kg.writer import write_graph

ROWS, E = 9, 8


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> EntityVectors:
    folder = tmp_path_factory.mktemp("vectors")
    matrix = np.random.default_rng(0).standard_normal((ROWS, E)).astype(np.float32)
    save_vectors(folder, [f"Q{n}" for n in range(ROWS)], matrix)
    return EntityVectors.open(folder)


def test_rows_of_known_and_unknown_entities(vectors: EntityVectors) -> None:
    assert vectors.rows(["Q3", "nobody", "Q0"]).tolist() == [3, -1, 0]
    assert (len(vectors), vectors.width) == (ROWS, E)


def test_unknown_entity_is_composed_of_its_neighbours(tmp_path: Path) -> None:
    """new –r→ a gives a − r, b –r→ new gives b + r: the mean. An entity without known neighbours gets no vector."""
    entities = [Entity(id, id) for id in ("a", "b", "new", "lone", "other")]
    facts = [Triple("new", "r", "a"), Triple("b", "r", "new"), Triple("lone", "r", "other")]
    graph = write_graph(tmp_path / "graph", entities, [Relation("r", "r")], {"train": facts})
    table = np.array([[1, 0], [0, 4]], np.float32)
    save_vectors(tmp_path / "vectors", ["a", "b"], table, np.array([[1, 2]], np.float32), ["r"])
    vectors = EntityVectors.open(tmp_path / "vectors", graph)
    assert vectors.rows(["a", "b", "new", "lone"]).tolist() == [0, 1, 2, -1]
    assert vectors.table()[2].tolist() == [0.5, 2.0]
    vectors.save(tmp_path)
    assert EntityVectors.open(tmp_path).rows(["new"]).tolist() == [2]


def test_composed_vectors_follow_the_stored_ones(vectors: EntityVectors) -> None:
    more = EntityVectors(vectors.vectors, np.full((1, E), 5, np.float32), ["new"])
    assert more.rows(["new", "Q1", "other"]).tolist() == [ROWS, 1, -1]
    local, gathered = more.gather(np.array([[ROWS, -1, 2]]))
    assert local.tolist() == [[2, 0, 1]]
    np.testing.assert_array_equal(gathered[1:], [vectors.vectors.matrix[2], np.full(E, 5)])


@given(arrays(np.int64, st.tuples(st.integers(1, 4), st.integers(1, 6)), elements=st.integers(-1, ROWS - 1)))
def test_gather_returns_vectors_and_zeros_for_unlinked_tokens(rows_BT: Ints) -> None:
    matrix = np.random.default_rng(0).standard_normal((ROWS, E)).astype(np.float32)
    with_vectors = EntityVectors(Vectors(Path(), matrix))
    local, gathered = with_vectors.gather(rows_BT)
    expected = np.where((rows_BT >= 0)[..., None], with_vectors.vectors.matrix[rows_BT], 0)
    np.testing.assert_array_equal(gathered[local], expected)
    assert len(gathered) == 1 + len(set(rows_BT[rows_BT >= 0].tolist()))
    batch = attach(Batch(torch.zeros(1), torch.zeros(1)), rows_BT, with_vectors)
    assert batch.entities is not None
    assert batch.entity_rows is not None
    np.testing.assert_array_equal(batch.entities.numpy(), local)
    np.testing.assert_array_equal(batch.entity_rows.numpy()[local], rows_BT)


@pytest.mark.skipif(
    not Path("/proc/self/smaps").is_file(), reason="only Linux tells what a process has mapped"
)
def test_gather_reads_only_the_rows_of_the_batch(tmp_path: Path) -> None:
    """Of a table of 200 MB, a page or two for each of 50 rows, with up to 64 KB that the system maps around each."""
    count, width = 500_000, 100
    save_vectors(tmp_path, [f"Q{n}" for n in range(count)], np.zeros((count, width), np.float32))
    vectors = EntityVectors.open(tmp_path)
    asked = np.random.default_rng(0).integers(0, count, 50)
    rows = vectors.rows([f"Q{n}" for n in asked])
    assert rows.tolist() == asked.tolist()
    assert mapped_bytes(tmp_path / TABLE) == 0
    vectors.gather(rows[None])
    assert 50 * 4096 <= mapped_bytes(tmp_path / TABLE) <= 50 * 2 * 65_536


def mapped_bytes(file: Path) -> int:
    """Bytes of a file that this process has read through its mapping."""
    kilobytes, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        name, _, value = line.partition(":")
        if "-" in name and " " in name:
            inside = line.endswith(str(file))
        elif inside and name == "Rss":
            kilobytes += int(value.split()[0])
    return 1024 * kilobytes


def test_folder_without_vectors_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no entity vectors"):
        EntityVectors.open(tmp_path)
