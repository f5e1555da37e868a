"""Files that would crash the RDF library, or never end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.sources import Read


@pytest.mark.parametrize(
    ("ending", "levels"), [(".nt", 100_000), (".nq", 20_000), (".ttl", 20_000), (".trig", 101)]
)
def test_too_deeply_nested_rdf_star_does_not_crash(
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


def test_endlessly_nested_xml_is_rejected(read: Read, tmp_path: Path) -> None:
    file = tmp_path / "deep.rdf"
    head = b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:x="http://x/">'
    file.write_bytes(head + b"<rdf:Description><x:p>" * 200_000)
    with pytest.raises(ValueError, match=r"deep\.rdf:1: elements nested more than 2,000 deep: refused"):
        read(file)


BANNER = b"#" * 10_000 + b"\r\n#\n\n  # @prefix of a comment\n"


@pytest.mark.parametrize("ending", [".owl", ".rdf"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_turtle_is_detected_after_long_comments(read: Read, tmp_path: Path, ending: str, mark: bytes) -> None:
    file = tmp_path / f"banner{ending}"
    file.write_bytes(mark + BANNER + b"@prefix : <http://a/> .\n:1 :p :2 .\n")
    reading = read(file)
    assert reading.facts() == {("http://a/1", "http://a/p", "http://a/2")}
    assert not reading.problems


@pytest.mark.parametrize("banner", [b"#" * 10_000 + b"\n", b"# \n" * 4_000, BANNER])
def test_owl_functional_syntax_is_detected_after_long_comments(
    read: Read, tmp_path: Path, banner: bytes
) -> None:
    file = tmp_path / "banner.owl"
    file.write_bytes(banner + b"Ontology(<http://a>)\n")
    with pytest.raises(ValueError, match=r"banner\.owl: OWL in functional syntax, which is not read"):
        read(file)
