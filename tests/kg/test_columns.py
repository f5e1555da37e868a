"""Columns can be saved over the files they are mapped from; writing in place would crash the process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kg.columns import Strings, load, save, save_strings


def test_an_array_can_be_saved_over_its_own_file(tmp_path: Path) -> None:
    save(tmp_path, "numbers", np.arange(100_000))
    mapped = load(tmp_path, "numbers")
    save(tmp_path, "numbers", mapped[:50_000])
    assert mapped.sum() == 99_999 * 50_000
    assert load(tmp_path, "numbers").tolist() == list(range(50_000))


def test_strings_can_be_saved_over_their_own_files(tmp_path: Path) -> None:
    words = [f"word {number}" for number in range(50_000)]
    save_strings(tmp_path, "words", words)
    mapped = Strings.load(tmp_path, "words")
    save_strings(tmp_path, "words", mapped)
    assert list(mapped) == list(Strings.load(tmp_path, "words")) == words


class Touch:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.mark,)


def test_a_pickle_in_a_column_is_an_error_and_not_executed(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    np.save(tmp_path / "numbers.npy", np.array([Touch(mark)], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"numbers\.npy: damaged"):
        load(tmp_path, "numbers")
    assert not mark.exists()
