"""Vectors on disk: an index that does not match the ids is an error."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from kg.vectors import IDS, INDEX, open_vectors, save_vectors
from kg.vectors import TABLE as FILE

TABLE = np.arange(6, dtype=np.float32).reshape(3, 2)


@pytest.mark.parametrize(
    "edited",
    ["titan\nganymede\neuropa\n", "titan\nia\neuropa\n", "europa\nio\ntitan\n", "titan\nio\neur\npa\n"],
    ids=["longer", "of the same length", "in another order", "of another line more"],
)
def test_an_index_of_other_ids_is_an_error(edited: str, tmp_path: Path) -> None:
    save_vectors(tmp_path, ["titan", "io", "europa"], TABLE)
    (tmp_path / IDS).write_text(edited)
    with pytest.raises(ValueError, match=r"entities\.txt: changed since entities\.safetensors was written"):
        open_vectors(tmp_path).rows(["europa"])


def test_an_index_without_a_hash_is_rebuilt(tmp_path: Path) -> None:
    save_vectors(tmp_path, ["titan", "io", "europa"], TABLE)
    columns = load_file(tmp_path / INDEX)
    del columns["whole"]
    save_file(columns, tmp_path / INDEX)
    (tmp_path / IDS).write_text("titan\nia\neuropa\n")
    assert open_vectors(tmp_path)["ia"].tolist() == [2, 3]


def test_edited_ids_are_an_error_until_the_index_is_deleted(tmp_path: Path) -> None:
    save_vectors(tmp_path, ["titan", "io", "europa"], TABLE)
    assert open_vectors(tmp_path)["io"].tolist() == [2, 3]
    (tmp_path / IDS).write_text("titan\nganymede\neuropa\n")
    with pytest.raises(ValueError, match=r"entities\.txt: changed since entities\.safetensors was written"):
        open_vectors(tmp_path).rows(["europa"])
    (tmp_path / INDEX).unlink()
    opened = open_vectors(tmp_path)
    assert opened["ganymede"].tolist() == [2, 3]
    assert opened["europa"].tolist() == [4, 5]
    assert "io" not in opened


@pytest.mark.parametrize("ids", ["titan\nio\n", "titan\nio\neuropa", "titan\nio\neuropa\nia\n"])
def test_different_numbers_of_ids_and_vectors_are_an_error(tmp_path: Path, ids: str) -> None:
    save_vectors(tmp_path, ["titan", "io", "europa"], TABLE)
    (tmp_path / INDEX).unlink()
    (tmp_path / IDS).write_text(ids)
    with pytest.raises(ValueError, match=r"entities\.txt: \d complete lines, for 3 vectors"):
        open_vectors(tmp_path).rows(["europa"])


def test_an_invalid_table_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere: holds no vectors \(vectors\.safetensors is missing\)"):
        open_vectors(tmp_path / "nowhere")
    nested = (1 << 18).to_bytes(8, "little") + b"[" * (1 << 19)
    for junk in (b"", b"junk", b"\xff" * 8 + b"{}", b"\x02" + b"\x00" * 7 + b"{]" + b" " * 9, nested):
        (tmp_path / FILE).write_bytes(junk)
        with pytest.raises(ValueError, match=r"vectors\.safetensors: not a safetensors file"):
            open_vectors(tmp_path)
    (tmp_path / FILE).unlink()
    os.mkfifo(tmp_path / FILE)
    with pytest.raises(ValueError, match=r"vectors\.safetensors: expected a file, found a pipe"):
        open_vectors(tmp_path)
