"""CSKG's edges."""

from __future__ import annotations

from pathlib import Path

import pytest

from kg.schema import Relation
from kg.sources.table import guess
from tests.support.sources import Read

HEADER = "id\tnode1\trelation\tnode2\tnode1;label\tnode2;label\trelation;label\tsource\n"


def test_cskg_node_labels_are_read(read: Read, tmp_path: Path) -> None:
    file = tmp_path / "cskg.tsv"
    file.write_text(HEADER + "1\ta\t/r/IsA\tb\tcat|kitty\tanimal\tis a\tCN\n2\tb\t/r/IsA\n")
    assert guess(file).name == "cskg"
    found = read(file)
    assert found.facts() == {("a", "/r/IsA", "b")}
    assert found.graph.relations == [Relation("/r/IsA", "is a")]
    assert (found.graph.entity(0).label, found.graph.entity(0).aliases) == ("cat", ("kitty",))
    assert found.problems[0].startswith("cskg.tsv:3: expected 8 columns")
    file.write_text("node1\tnode2\na\tb\n")
    with pytest.raises(ValueError, match="no column 'relation'; the header has node1, node2"):
        read(file, format="cskg")
