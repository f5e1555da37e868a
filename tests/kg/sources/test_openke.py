"""OpenKE's folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from kg.sources.table import guess
from tests.support.sources import Read


def write(folder: Path) -> Path:
    files = {
        "entity2id.txt": "3\n/m/a\t0\n/m/b c\t1\n/m/d\t2\n", "relation2id.txt": "2\n/r/x\t0\n/r/y\t1\n",
        "train2id.txt": "2\n0 1 0\n1\t2\t1\n", "valid2id.txt": "1\n2 0 0\n", "entity2name.txt": "/m/a\tAda\n",
        "type_constrain.txt": "1\n",
    }  # fmt: skip
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def test_openke_triples_are_read_by_number(read: Read, tmp_path: Path) -> None:
    assert guess(write(tmp_path)).name == "openke"
    found = read(tmp_path)
    assert not found.problems
    assert found.facts() == {("/m/a", "/r/x", "/m/b c"), ("/m/b c", "/r/y", "/m/d")}  # those to train on
    assert [len(found.graph.triples(split)) for split in ("train", "valid", "test")] == [2, 1, 0]
    assert list(found.graph.labels) == ["Ada", "/m/b c", "/m/d"]
    assert found.left_out == {"files": 1}


def test_openke_unknown_numbers_are_located(read: Read, tmp_path: Path) -> None:
    (write(tmp_path) / "train2id.txt").write_text("3\n0 1 0\n0 9 0\na b\n")
    found = read(tmp_path)
    assert [problem.split(": ")[0] for problem in found.problems] == ["train2id.txt:3", "train2id.txt:4"]
    assert all("found '" in problem for problem in found.problems)
    (tmp_path / "relation2id.txt").unlink()
    with pytest.raises(ValueError, match=r"expected a folder of OpenKE with relation2id\.txt"):
        read(tmp_path)
