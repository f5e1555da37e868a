"""Ids are numbered by first occurrence, one at a time or in columns."""

from __future__ import annotations

import pyarrow
from hypothesis import given
from hypothesis import strategies as st

from kg.numbering import Numbering

ids = st.sampled_from("abcdefg") | st.text(max_size=3)


def column(texts: list[str]) -> pyarrow.LargeStringArray:
    return pyarrow.array(texts, pyarrow.large_string())


def test_columns_are_read_row_by_row() -> None:
    numbering = Numbering()
    assert [numbering.add(id) for id in ("x", "y", "x")] == [0, 1, None]
    (heads, tails), new, places = numbering.add_all(column(["b", "x", "a"]), column(["a", "c", "b"]))
    assert heads.tolist() == [2, 0, 3]
    assert tails.tolist() == [3, 4, 2]
    assert new.to_pylist() == ["b", "a", "c"]
    assert places.tolist() == [0, 0, 1]
    assert numbering.add("d") == 5
    assert list(numbering) == ["x", "y", "b", "a", "c", "d"]


@given(st.lists(st.lists(st.tuples(ids, ids), max_size=6) | ids, max_size=6))
def test_numbers_agree_with_a_dictionary(steps: list[list[tuple[str, str]] | str]) -> None:
    """A step is one id, or rows of two."""
    numbering, expected = Numbering(), dict[str, int]()
    for step in steps:
        if isinstance(step, str):
            new = None if step in expected else len(expected)
            assert numbering.add(step) == new
            expected.setdefault(step, len(expected))
            continue
        before = len(expected)
        for id in (id for row in step for id in row):
            expected.setdefault(id, len(expected))
        numbers, fresh, places = numbering.add_all(*(column([row[side] for row in step]) for side in (0, 1)))
        for side in (0, 1):
            assert numbers[side].tolist() == [expected[row[side]] for row in step]
        assert fresh.to_pylist() == list(expected)[before:]
        firsts = [min(at for at, row in enumerate(step) if id in row) for id in list(expected)[before:]]
        assert places.tolist() == firsts
        assert len(numbering) == len(expected)
    assert numbering.numbers == expected
