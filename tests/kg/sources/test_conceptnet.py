"""ConceptNet's assertions."""

from __future__ import annotations

from pathlib import Path

from kg.schema import Relation
from kg.sources.reading import Choices
from kg.sources.table import guess
from tests.support.sources import Read

LINES = [
    ("/r/AtLocation", "/c/en/hot_dog/n", "/c/en/plate"),
    ("/r/IsA", "/c/de/hund", "/c/de/tier"),
    ("/r/ExternalURL", "/c/en/plate", "http://dbpedia.org/resource/Plate"),
]


def test_conceptnet_assertions_of_a_language_are_read(read: Read, tmp_path: Path) -> None:
    file = tmp_path / "assertions.csv"
    lines = [f"/a/[{r}/,{h}/,{t}/]\t{r}\t{h}\t{t}\t{{}}" for r, h, t in LINES]
    file.write_text("\n".join([*lines, "/a/x\tbad"]))
    assert guess(file).name == "conceptnet"
    found = read(file)
    assert found.facts() == {("/c/en/hot_dog/n", "/r/AtLocation", "/c/en/plate")}
    assert found.graph.relations == [Relation("/r/AtLocation", "at location")]
    assert (found.graph.labels[0], found.graph.entity(0).types) == ("hot dog", ("noun",))
    assert list(found.graph.further_ids()) == [("http://dbpedia.org/resource/Plate", 1)]
    assert found.left_out == {"assertions in other languages": 1}
    assert found.problems[0].startswith("assertions.csv:4: expected /a/…")
    assert read(file, Choices(languages=("de",))).facts() == {("/c/de/hund", "/r/IsA", "/c/de/tier")}
