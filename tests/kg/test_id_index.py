"""Look-up of known and unknown ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kg.columns import Strings, offsets, save_strings
from kg.id_index import IdIndex, hash_ids, search


def index_of(ids: list[str]) -> IdIndex:
    encoded = [id.encode() for id in ids]
    return IdIndex.of(Strings(offsets([len(id) for id in encoded]), b"".join(encoded)))


@given(st.lists(st.text(), unique=True), st.lists(st.text()))
def test_look_ups_agree_with_a_dictionary(ids: list[str], others: list[str]) -> None:
    index, rows = index_of(ids), {id: row for row, id in enumerate(ids)}
    asked = [*reversed(ids), *others]
    expected = [rows.get(id, -1) for id in asked]
    assert index.find_all(asked).tolist() == expected
    assert [index.find(id) for id in asked] == expected


def test_ids_with_equal_hashes_are_distinguished() -> None:
    """64-bit hashes do not collide by chance in a test, so all are made equal here."""
    ids = index_of(["a", "b", "c"]).ids
    same = IdIndex(ids, np.repeat(hash_ids([b"c"]), 3), np.arange(3, dtype=np.int32))
    assert same.find("c") == 2
    assert same.find_all(["c", "c"]).tolist() == [2, 2]
    other = IdIndex(ids, np.repeat(hash_ids([b"d"]), 3), np.arange(3, dtype=np.int32))
    assert other.find_all(["d", "c"]).tolist() == [-1, -1]


def test_strings_of_a_file_of_lines_equal_those_of_a_column(tmp_path: Path) -> None:
    """Bytes between two strings belong to neither."""
    texts = ["Q1", "", "柏林", "Q1"]
    save_strings(tmp_path, "column", texts)
    lines = [f"{text}\n".encode() for text in texts]
    for strings in (
        Strings.load(tmp_path, "column"),
        Strings(offsets(list(map(len, lines))), b"".join(lines), gap=1),
    ):
        assert list(strings) == [strings[row] for row in range(4)] == strings[:] == texts
        assert strings.take(np.array([2, 0])) == ["柏林", "Q1"]
        assert strings.places("Q1") == [0, 3]
        assert strings.places("") == [1]


@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 9), max_size=200), st.integers(0, 2**64 - 1))
def test_interpolation_search_agrees_with_binary_search(numbers: list[int], other: int) -> None:
    """For uniform numbers such as hashes, and others."""
    hashes = np.sort(np.asarray(numbers, np.uint64))
    for key in (*numbers[:5], other, 0, 2**64 - 1):
        assert search(hashes, key) == np.searchsorted(hashes, np.uint64(key))


def test_interpolation_search_among_many_hashes() -> None:
    hashes = np.sort(np.random.default_rng(0).integers(0, 2**64, 100_000, np.uint64))
    for place in (0, 1, 777, 50_000, 99_999):
        assert search(hashes, int(hashes[place])) == place
