"""Vectors on disk: an index that does not fit the ids is refused, never answered from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kg.vectors import IDS, INDEX, open_vectors, save_vectors

TABLE = np.arange(6, dtype=np.float32).reshape(3, 2)


def test_edited_ids_are_refused_until_the_index_is_gone(tmp_path: Path) -> None:
    save_vectors(tmp_path, ["titan", "io", "europa"], TABLE)
    assert open_vectors(tmp_path)["io"].tolist() == [2, 3]
    (tmp_path / IDS).write_text("titan\nganymede\neuropa\n")
    with pytest.raises(ValueError, match=r"entities\.txt: changed since entities\.safetensors was made"):
        open_vectors(tmp_path).rows(["europa"])
    (tmp_path / INDEX).unlink()
    opened = open_vectors(tmp_path)
    assert opened["ganymede"].tolist() == [2, 3]
    assert opened["europa"].tolist() == [4, 5]
    assert "io" not in opened
