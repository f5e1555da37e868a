"""Vectors of entities: by row, a batch's worth at a time, beside a model; and where mentions begin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kepipe.data.batch import Batch, Ints
from kepipe.knowledge.ernie_tsinghua.vectors import EntityVectors, attach
from kepipe.models import folder
from kepipe.models.base import Base, build
from kg.schema import Entity, Relation, Triple
from kg.vectors import TABLE, Vectors, save_vectors
from kg.writer import write_graph
from tests.support.rows import rows

ROWS, E = 9, 8


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> EntityVectors:
    folder = tmp_path_factory.mktemp("vectors")
    matrix = np.random.default_rng(0).standard_normal((ROWS, E)).astype(np.float32)
    save_vectors(folder, [f"Q{n}" for n in range(ROWS)], matrix)
    return EntityVectors.open(folder)


def test_rows_of_known_and_unknown(vectors: EntityVectors) -> None:
    assert vectors.rows(["Q3", "nobody", "Q0"]).tolist() == [3, -1, 0]
    assert (len(vectors), vectors.width) == (ROWS, E)


def test_an_unknown_entity_is_composed_of_its_neighbours(tmp_path: Path) -> None:
    """new –r→ a says a − r, b –r→ new says b + r: the mean. What nothing ties to the known stays without a vector."""
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


def test_composed_vectors_stand_behind_the_stored(vectors: EntityVectors) -> None:
    more = EntityVectors(vectors.vectors, np.full((1, E), 5, np.float32), ["new"])
    assert more.rows(["new", "Q1", "other"]).tolist() == [ROWS, 1, -1]
    local, gathered = more.gather(np.array([[ROWS, -1, 2]]))
    assert local.tolist() == [[2, 0, 1]]
    np.testing.assert_array_equal(gathered[1:], [vectors.vectors.matrix[2], np.full(E, 5)])


@given(arrays(np.int64, st.tuples(st.integers(1, 4), st.integers(1, 6)), elements=st.integers(-1, ROWS - 1)))
def test_gather_gives_each_place_its_vector_and_zeros_elsewhere(rows_BT: Ints) -> None:
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
def test_only_a_batch_s_rows_are_read(tmp_path: Path) -> None:
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
    """How much of a file this process has looked at."""
    kilobytes, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        name, _, value = line.partition(":")
        if "-" in name and " " in name:
            inside = line.endswith(str(file))
        elif inside and name == "Rss":
            kilobytes += int(value.split()[0])
    return 1024 * kilobytes


def test_an_entity_stands_at_the_first_token_of_each_mention() -> None:
    """Mentions of 2 and 1 tokens, the same entity twice in a row, one without a vector, one cut by the row's end."""
    entities = np.array([[-1, 4, 4, 4, -1, 5, -1, 6, 6]])
    units = np.array([[-1, 0, 0, 1, 2, 3, 4, 5, 5]])
    sequences = rows(entities=entities, units={"entity": units})
    links = mention_starts(sequences, np.array([-1, -1, -1, -1, 70, -1, 90]))
    assert links.tolist() == [[-1, 70, -1, 70, -1, -1, -1, 90, -1]]


def test_a_folder_carries_the_vectors_without_copying(vectors: EntityVectors, tmp_path: Path) -> None:
    base = Base.model_validate({"layers": 2, "hidden": 32, "heads": 2, "fusion": {}})
    model = build(base, 50, 0, entities=vectors)
    folder.save(tmp_path, model, entities=vectors)
    assert (tmp_path / TABLE).samefile(vectors.vectors.folder / TABLE)
    opened = EntityVectors.open(tmp_path)
    np.testing.assert_array_equal(opened.vectors.matrix, vectors.vectors.matrix)
    loaded = folder.load(tmp_path)
    assert loaded.config == model.config
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), model.parameters(), strict=True))
    again = build(Base.model_validate({"from": str(tmp_path)}), 50, 0, entities=opened)
    assert again.config.fusion == model.config.fusion


def test_trained_vectors_are_saved_as_they_became(vectors: EntityVectors, tmp_path: Path) -> None:
    base = Base.model_validate({"layers": 2, "hidden": 32, "heads": 2, "fusion": {"train": True}})
    model = build(base, 50, 0, entities=vectors)
    assert model.entity_table is not None
    np.testing.assert_array_equal(model.entity_table.weight.detach().numpy(), vectors.table())
    with torch.no_grad():
        model.entity_table.weight += 1
    folder.save(tmp_path, model, entities=vectors)
    np.testing.assert_array_equal(EntityVectors.open(tmp_path).table(), vectors.table() + 1)


def test_defaults_are_the_published_ones_and_scale() -> None:
    fusion = Base.model_validate({"fusion": {}}).fusion
    assert fusion is not None
    assert [fusion.of(layers, 100, 9).first for layers in (12, 6, 4, 2, 1)] == [5, 2, 1, 0, 0]
    assert fusion.of(12, 100, 9).heads == 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"entity_hidden": 100}, "have 8 numbers"),
        ({"entity_heads": 3}, "set entity_heads to a divisor"),
        ({"first": 2}, "at least one must fuse"),
    ],
)
def test_what_does_not_fit_is_said(vectors: EntityVectors, settings: dict[str, int], message: str) -> None:
    base = Base.model_validate({"layers": 2, "hidden": 32, "heads": 2, "fusion": settings})
    with pytest.raises(ValueError, match=message):
        build(base, 50, 0, entities=vectors)


def test_vectors_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"inputs: \{vectors: embed\}"):
        build(Base.model_validate({"layers": 2, "hidden": 32, "heads": 2, "fusion": {}}), 50, 0)
    with pytest.raises(ValueError, match="no entity vectors"):
        EntityVectors.open(tmp_path)


def test_a_model_that_fuses_is_not_fused_again(vectors: EntityVectors, tmp_path: Path) -> None:
    base = Base.model_validate({"layers": 2, "hidden": 32, "heads": 2, "fusion": {}})
    folder.save(tmp_path, build(base, 50, 0, entities=vectors), entities=vectors)
    with pytest.raises(ValueError, match="fuses entities already"):
        build(Base.model_validate({"from": str(tmp_path), "fusion": {}}), 50, 0, entities=vectors)
    wide = tmp_path / "wide"
    save_vectors(wide, ["Q1"], np.zeros((1, 16), np.float32))
    with pytest.raises(ValueError, match="these are 1 of 16"):
        build(Base.model_validate({"from": str(tmp_path)}), 50, 0, entities=EntityVectors.open(wide))
