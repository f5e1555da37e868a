"""A graph argument of a command: stored, or a file of any format."""

from __future__ import annotations

from pathlib import Path

import pytest

from kepipe.api.graphs import opened_graph
from kg.schema import Entity, Relation
from kg.writer import GraphWriter

OBO = "[Term]\nid: T:1\nname: nucleus\nis_a: T:2\nis_a\n\n[Term]\nid: T:2\nname: organelle\n"
TURTLE = '@prefix : <http://e/> . :a :near :b . :a <http://www.w3.org/2000/01/rdf-schema#label> "nucleus" .'
OPENKE = {
    "entity2id.txt": "2\nnucleus\t0\nb\t1\n",
    "relation2id.txt": "1\nr\t0\n",
    "train2id.txt": "1\n0 1 0\n",
}


@pytest.mark.parametrize(
    "files", [{"g.obo": OBO}, {"g.ttl": TURTLE}, {"g.spo": "nucleus\tpart of\tb\n"}, OPENKE]
)
def test_graph_of_any_format_is_read_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], files: dict[str, str]
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    path = tmp_path if len(files) > 1 else tmp_path / next(iter(files))
    with opened_graph(path) as graph:
        assert "nucleus" in graph.labels
        assert len(graph.triples()) == 1
    output = capsys.readouterr().err
    assert "taken: facts: 1" in output
    assert ("g.obo:5" in output) == (path.name == "g.obo")


def test_stored_graph_is_opened_in_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    writer = GraphWriter(tmp_path / "g")
    writer.add_entity(Entity("a", "A"))
    writer.add_relation(Relation("r", "r"))
    writer.finish()
    with opened_graph(tmp_path / "g") as graph:
        assert list(graph.labels) == ["A"]
    assert not capsys.readouterr().err
    with pytest.raises(ValueError, match="no such graph"), opened_graph(tmp_path / "absent"):
        pass
