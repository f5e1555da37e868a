"""Vector files of other programs: word2vec's text, OpenKE's and PyKEEN's folders."""

from __future__ import annotations

import gzip
import json
from contextlib import suppress
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kg.problems import Problems
from kg.vector_files import FORMATS, ForeignVectors, format_of

TABLE = np.arange(6, dtype=np.float32).reshape(3, 2)
IDS = ["a", "b c", "d"]


def read(path: Path) -> tuple[ForeignVectors, list[str]]:
    problems = Problems()
    return format_of(path).read(path, problems), [str(problem) for problem in problems.first]


@pytest.mark.parametrize("head", ["3 2\n", ""])
def test_word2vec_text_is_read(tmp_path: Path, head: str) -> None:
    file = tmp_path / "v.txt.gz"
    lines = [f"{id} {row[0]} {row[1]}" for id, row in zip(IDS, TABLE.tolist(), strict=True)]
    file.write_bytes(gzip.compress((head + "\n".join(lines) + "\nbad 1\nworse 1 x\ninf 1 inf\n").encode()))
    found, problems = read(file)
    assert found.ids == IDS
    np.testing.assert_array_equal(found.entities, TABLE)
    assert len(problems) == 3


def test_openke_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "entity2id.txt").write_text("3\na\t0\nb c\t2\nd\t1\n")
    (tmp_path / "relation2id.txt").write_text("1\nr\t0\n")
    tables = {"ent_embeddings.weight": TABLE.tolist(), "rel_embeddings.weight": [[1.0, 2.0]]}
    (tmp_path / "embedding.vec.json").write_text(json.dumps(tables))
    found, problems = read(tmp_path)
    assert (found.ids, found.relation_ids, problems) == (["a", "d", "b c"], ["r"], [])
    np.testing.assert_array_equal(found.entities, TABLE)
    (tmp_path / "embedding.vec.json").unlink()
    (tmp_path / "entity2vec.vec").write_text("\n".join("\t".join(map(str, row)) for row in TABLE.tolist()))
    np.testing.assert_array_equal(read(tmp_path)[0].entities, TABLE)
    (tmp_path / "entity2vec.vec").write_text("1\t2\n")
    with pytest.raises(ValueError, match="3 ids for 1 vectors"):
        read(tmp_path)


def test_pykeen_folder_is_read(tmp_path: Path) -> None:
    triples = tmp_path / "training_triples"
    triples.mkdir()
    (triples / "entity_to_id.tsv.gz").write_bytes(gzip.compress(b"label\tid\na\t0\nb c\t1\nd\t2\n"))
    (tmp_path / "trained_model.pkl").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"a pickled model is not opened.* np\.save\('entities\.npy'"):
        format_of(tmp_path)
    np.save(tmp_path / "entities.npy", TABLE)
    assert read(tmp_path)[0].ids == IDS
    np.save(tmp_path / "entities.npy", TABLE.astype(np.complex64))
    assert read(tmp_path)[0].entities.shape == (3, 4)
    np.save(tmp_path / "entities.npy", np.array([None] * 3), allow_pickle=True)
    with pytest.raises(ValueError, match=r"entities\.npy: not a table of numbers"):
        read(tmp_path)


def test_an_unknown_format_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a folder of PyKEEN"):
        format_of(tmp_path)
    assert list(FORMATS) == ["pykeen", "openke", "word2vec"]


@given(st.binary(max_size=120))
@settings(max_examples=60)
def test_any_bytes_are_read_without_a_crash(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.mktemp("v") / "v.txt"
    file.write_bytes(data)
    found, _ = read(file)
    assert len(found.ids) == len(found.entities)


@given(
    st.binary(max_size=80),
    st.binary(max_size=80),
    st.sampled_from(["embedding.vec.json", "entity2vec.vec", ""]),
)
@settings(max_examples=60)
def test_any_bytes_in_a_folder_are_read_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, ids: bytes, table: bytes, openke: str
) -> None:
    folder = tmp_path_factory.mktemp("v")
    (folder / ("entity2id.txt" if openke else "entity_to_id.tsv")).write_bytes(ids)
    (folder / (openke or "entities.npy")).write_bytes(table)
    with suppress(ValueError):
        found, _ = read(folder)
        assert len(found.ids) == len(found.entities)


@given(
    st.lists(
        st.text("ab c", min_size=1).filter(lambda id: id == id.strip()), min_size=1, max_size=5, unique=True
    ),
    st.integers(1, 3),
    st.randoms(use_true_random=False),
)
@settings(max_examples=40)
def test_folders_round_trip(
    tmp_path_factory: pytest.TempPathFactory, ids: list[str], width: int, random: Random
) -> None:
    folder = tmp_path_factory.mktemp("v")
    table = np.arange(len(ids) * width, dtype=np.float32).reshape(len(ids), width)
    lines = [f"{id}\t{number}" for number, id in enumerate(ids)]
    random.shuffle(lines)
    for name, (file, head) in {
        "pykeen": ("entity_to_id.tsv", "label\tid"),
        "openke": ("entity2id.txt", f"{len(ids)}"),
    }.items():
        (folder / name).mkdir()
        (folder / name / file).write_text("\n".join([head, *lines]) + "\n")
    np.save(folder / "pykeen" / "entities.npy", table)
    (folder / "openke" / "embedding.vec.json").write_text(
        json.dumps({"ent_embeddings.weight": table.tolist()})
    )
    for name in ("pykeen", "openke"):
        found, problems = read(folder / name)
        assert (found.ids, problems) == (ids, [])
        np.testing.assert_array_equal(found.entities, table)
