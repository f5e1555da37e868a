"""Tables of nodes and of edges, as Neo4j and KGX have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from kg.schema import Entity, Relation
from kg.sources.table import guess
from tests.support.sources import Read


def write(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_neo4j_s_import_files(read: Read, tmp_path: Path) -> None:
    folder = write(tmp_path / "neo", {
        "people.csv": "personId:ID,name,:LABEL,born:int\nada,Ada Lind,Person;Actor,1990\n",
        "films-header.csv": "id:ID,title:string,also_known_as:string[],:LABEL\n",
        "films.csv": 'f1,"The ""Way""",Way;A Way,Film\n',
        "roles.csv": ":START_ID,role,:END_ID,:TYPE\nada,Neo,f1,ACTED_IN\nada,,,X\n",
        "readme.md": "x",
    })  # fmt: skip
    assert guess(folder).name == "nodes-edges"
    found = read(folder)
    assert found.facts() == {("ada", "ACTED_IN", "f1")}
    assert {found.graph.entity(row) for row in range(2)} == {
        Entity("ada", "Ada Lind", (), "", ("Person", "Actor")),
        Entity("f1", 'The "Way"', ("Way", "A Way"), "", ("Film",)),
    }
    assert found.problems == ["roles.csv:3: the relation or the tail is empty"]
    assert found.left_out == {"columns": 2, "files": 1}


def test_equal_ids_of_different_spaces_stay_distinct(read: Read, tmp_path: Path) -> None:
    folder = write(tmp_path / "neo", {
        "a.csv": ":ID(Person),name\n1,Ada\n2,Bo\n", "b.csv": ":ID(Film),name\n1,Way\n",
        "c.csv": ":START_ID(Person),:END_ID(Film),:TYPE\n1,1,IN\n2,1,IN\n",
    })  # fmt: skip
    assert read(folder).facts() == {("Person:1", "IN", "Film:1"), ("2", "IN", "Film:1")}


def test_neo4j_s_export_of_one_table(read: Read, tmp_path: Path) -> None:
    folder = write(tmp_path, {
        "all.csv": '"_id","_labels","name","_start","_end","_type"\n"0",":Person:Actor","Ada",,,\n'
        '"1",":Film","Way",,,\n,,,"0","1","ACTED_IN"\n'
    })  # fmt: skip
    found = read(folder / "all.csv")
    assert found.facts() == {("0", "ACTED_IN", "1")}
    assert found.graph.entity(0) == Entity("0", "Ada", (), "", ("Person", "Actor"))


def test_kgx_tables_are_read(read: Read, tmp_path: Path) -> None:
    folder = write(tmp_path / "kgx", {
        "x_nodes.tsv": "id\tcategory\tname\tsynonym\txref\n"
        "M:1\tbiolink:Disease\tflu\tgrippe|influenza\tMESH:1\nM:2\tbiolink:Disease\till\t\t\n",
        "x_edges.tsv": "id\tsubject\tpredicate\tobject\nu1\tM:1\tbiolink:subclass_of\tM:2\n",
    })  # fmt: skip
    found = read(folder)
    assert found.graph.relations == [Relation("biolink:subclass_of", "subclass of")]
    assert found.graph.entity(found.graph.row("M:1")).aliases == ("grippe", "influenza")
    assert list(found.graph.further_ids()) == [("MESH:1", found.graph.row("M:1"))]


def test_tables_without_edges_are_refused(read: Read, tmp_path: Path) -> None:
    folder = write(tmp_path / "n", {"a.csv": ":ID,name\n1,x\n"})
    with pytest.raises(ValueError, match="no table has edges: expected columns such as :START_ID"):
        read(folder, format="nodes-edges")
