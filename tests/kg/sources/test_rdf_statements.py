"""Files that would end the process of the RDF library, or take it for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.sources import Read


@pytest.mark.parametrize(
    ("ending", "levels"), [(".nt", 100_000), (".nq", 20_000), (".ttl", 20_000), (".trig", 101)]
)
def test_statements_about_statements_nested_too_deeply_end_no_process(
    read: Read, tmp_path: Path, ending: str, levels: int
) -> None:
    file = tmp_path / f"deep{ending}"
    deep = (
        b"<http://a> <http://p> " + b"<<( <http://a> <http://p> " * levels + b"<http://a>" + b" )>>" * levels
    )
    file.write_bytes(b"<http://a> <http://p> <http://b> .\n" + deep + b" .\n")
    if ending in (".nt", ".nq"):
        reading = read(file)
        assert reading.facts() == {("http://a", "http://p", "http://b")}
        assert reading.problems == [f"{file.name}:2: statements about statements, nested more than 100 deep"]
    else:
        with pytest.raises(ValueError, match="nested more than 100 deep: refused"):
            read(file)


def test_elements_nested_without_end_are_refused(read: Read, tmp_path: Path) -> None:
    file = tmp_path / "deep.rdf"
    head = b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:x="http://x/">'
    file.write_bytes(head + b"<rdf:Description><x:p>" * 200_000)
    with pytest.raises(ValueError, match=r"deep\.rdf:1: elements nested more than 2,000 deep: refused"):
        read(file)
