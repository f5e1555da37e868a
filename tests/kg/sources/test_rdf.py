"""RDF: one content in every serialisation; names by language; a bad statement is skipped alone."""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyoxigraph import NamedNode, Quad, RdfFormat, parse, serialize

from kg.schema import Entity, Relation
from kg.sources.reading import Choices
from kg.sources.vocabularies import local_name
from tests.support.sources import Read

TURTLE = """
@prefix : <http://ex.org/> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix schema: <http://schema.org/> .
:Berlin a :City ; :in :Ger_many ; :population 3426354 ;
  rdfs:label "Berlin"@en, "Berlin"@de, "柏林"@zh-Hans, "Берлин"@ru ;
  skos:altLabel "Spree Athens"@en, "Spree-Athen"@de ;
  schema:description "Hauptstadt"@de, "capital of Germany"@en-GB .
:City rdfs:label "city"@en .
:in rdfs:label "located in"@en .
:lonely rdfs:label "no facts, but a name"@en .
[] :in :Berlin .
"""
BERLIN = "http://ex.org/Berlin"


def convert(format: RdfFormat) -> bytes:
    quads = parse(TURTLE.encode(), RdfFormat.TURTLE)
    data = serialize((quad.triple for quad in quads), format=format)
    assert isinstance(data, bytes)
    return data


SERIALISATIONS = {
    "nt": RdfFormat.N_TRIPLES, "nq": RdfFormat.N_QUADS, "ttl": RdfFormat.TURTLE, "trig": RdfFormat.TRIG,
    "rdf": RdfFormat.RDF_XML,
}  # fmt: skip


@pytest.mark.parametrize("ending", SERIALISATIONS)
def test_every_serialisation_gives_the_same_graph(read: Read, tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"g.{ending}"
    file.write_bytes(convert(SERIALISATIONS[ending]))
    found = read(file)
    assert not found.problems
    assert found.facts() == {(BERLIN, "http://ex.org/in", "http://ex.org/Ger_many")}
    assert found.graph.relations == [Relation("http://ex.org/in", "located in")]
    berlin = found.graph.entity(found.graph.row(BERLIN))
    assert berlin == Entity(BERLIN, "Berlin", ("Spree Athens",), "capital of Germany", ("city",))
    assert set(found.graph.labels) == {"Berlin", "Ger many", "no facts, but a name"}
    assert found.left_out == {
        "literal values": 1, "texts in other languages": 5, "statements with blank nodes": 1,
    }  # fmt: skip


def test_rdf_labels_follow_the_language_order(read: Read, tmp_path: Path) -> None:
    file = tmp_path / "g.ttl"
    file.write_text(TURTLE, encoding="utf-8")
    found = read(file, Choices(languages=("zh", "de")))
    berlin = found.graph.entity(found.graph.row(BERLIN))
    assert (berlin.label, berlin.aliases, berlin.description) == (
        "柏林",
        ("Berlin", "Spree-Athen"),
        "Hauptstadt",
    )


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_packed_rdf_is_read_and_truncation_reported(read: Read, tmp_path: Path, pack: object) -> None:
    packed = pack(convert(RdfFormat.N_TRIPLES) * 200)  # type: ignore[operator]
    whole, cut = tmp_path / "whole.nt.gz", tmp_path / "cut.nt.gz"
    whole.write_bytes(packed)
    cut.write_bytes(packed[: len(packed) // 2])
    assert len(read(whole).facts()) == 1
    found = read(cut)
    assert len(found.problems) == 1
    assert "the compressed data is damaged" in found.problems[0]


def test_bad_statements_are_located_and_the_rest_is_read(read: Read, tmp_path: Path) -> None:
    file = tmp_path / "g.nt"
    file.write_text(
        "<http://a/1> <http://a/p> <http://a/2> .\n"
        "<http://a/1> p <http://a/3> .\n"
        "no triple at all\n"
        "<http://a/4> <http://a/p> <http://a/5> .\n"
    )
    found = read(file)
    assert len(found.facts()) == 2
    assert [problem.split(": ")[0] for problem in found.problems] == ["g.nt:2", "g.nt:3"]
    with pytest.raises(ValueError, match=r"g\.nt:2: .*predicate"):
        read(file, strict=True)


@pytest.mark.parametrize(
    "bad",
    [
        b'<http://a/x> <http://a/p> "no end .',
        b"<http://a/x <http://a/p> <http://a/y> .",
        b'<http://a/x> <http://a/p> "Z\xfcrich" .',
        b"no triple at all",
        b"<http://a/x> <http://a/p>",
    ],
)
def test_n_triples_bad_line_is_skipped_alone(read: Read, tmp_path: Path, bad: bytes) -> None:
    lines = [f"<http://a/{n}> <http://a/p> <http://a/{n + 1}> .".encode() for n in range(40)]
    lines[7] = lines[8] = bad
    file = tmp_path / "g.nt"
    file.write_bytes(b"\r\n".join(lines))
    found = read(file)
    assert len(found.facts()) == 38
    assert [problem.split(": ")[0] for problem in found.problems] == ["g.nt:8", "g.nt:9"]


@pytest.mark.parametrize(
    ("bad", "facts", "message"),
    [
        (b"x:y :p :z .", 39, "g.ttl:8: The prefix x: has not been declared; left out"),
        (b':x :p "Z\xfcrich" .', 39, "g.ttl:8: not UTF-8 (byte 9), read as \N{REPLACEMENT CHARACTER}"),
        (b':x :p "no end .', 39, "g.ttl:8: the statement that begins here has no end; left out"),
        (b':x :p """no end .', 39, "g.ttl:8: the statement that begins here has no end; left out"),
        (b":x :p <http://no/end .", 39, "g.ttl:8: the statement that begins here has no end; left out"),
        (
            b":x :p <http://no/end .\n:x :q :y .\n:x :p <http://an/end> .",
            41,
            "g.ttl:8: Invalid IRI code point ' '; left out",
        ),
        (b':x :p """two\n. lines""" .', 39, None),
        (
            b':x :p "two\n. lines", :y .',
            39,
            "g.ttl:8: Line jumps are not allowed in string literals, use \\n; left out up to line 9",
        ),
        (b':x :p "\\q." .', 39, "g.ttl:8: Unexpected escape character '\\q'; left out"),
        (b":x :p [ :p :y .", 39, "g.ttl:8: blank node property lists should end with a ']'; left out"),
        (b':x :p "5" disk"@en .', 39, "g.ttl:8: disk is not a valid subject or graph name; left out"),
        (b":x :p :y", 40, "g.ttl:9: A dot is expected at the end of statements; left out"),
        (b":x :p :y ;\n :q b .\n", 40, "g.ttl:9: b is not a valid RDF object; left out up to line 10"),
    ],
)
def test_turtle_error_says_what_is_skipped(
    read: Read, tmp_path: Path, bad: bytes, facts: int, message: str | None
) -> None:
    lines = [b"@prefix : <http://a/> .", *(f":{n} :p :{n + 1} .".encode() for n in range(40))]
    lines[7] = bad
    file = tmp_path / "g.ttl"
    file.write_bytes(b"\n".join(lines))
    found = read(file)
    assert len(found.facts()) == facts
    assert found.problems == ([message] if message else [])
    if not message:
        return
    with pytest.raises(ValueError, match=r"g\.ttl:[89]"):
        read(file, strict=True)


@pytest.mark.parametrize("begun", [b':x :p """no end .', b":x :p <http://no/end ."])
def test_unterminated_statement_in_a_long_file_is_located(read: Read, tmp_path: Path, begun: bytes) -> None:
    good = b":1 :p :2 .\n"
    file = tmp_path / "g.ttl"
    file.write_bytes(b"@prefix : <http://a/> .\n" + good * 9000 + begun + b"\n" + good * 1_600_000)
    found = read(file)
    assert len(found.facts()) == 1
    (problem,) = found.problems
    assert problem.endswith("the statement that begins about here has no end within 16 MB: not read")
    assert 8700 <= int(problem.split(":")[1]) <= 9800


def _declared(*entities: str) -> str:
    return (
        "<?xml version='1.0'?>\n<!DOCTYPE rdf:RDF [\n" + "\n".join(entities) + "\n]>\n"
        "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' xmlns:p='http://p/'>\n"
    )


def test_xml_entities_in_iris_are_expanded(read: Read, tmp_path: Path) -> None:
    file = tmp_path / "g.owl"
    head = _declared('<!ENTITY ex "http://ex.org/">', '<!ENTITY deep "&ex;deep/">')
    file.write_text(
        head + "<rdf:Description rdf:about='&ex;1'><p:q rdf:resource='&deep;2'/></rdf:Description></rdf:RDF>"
    )
    found = read(file)
    assert not found.problems
    assert found.facts() == {("http://ex.org/1", "http://p/q", "http://ex.org/deep/2")}


def test_xml_entity_bombs_are_rejected(read: Read, tmp_path: Path) -> None:
    levels = (f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    file = tmp_path / "g.rdf"
    file.write_text(_declared('<!ENTITY a0 "laugh">', *levels) + "<p:x p:y='&a11;'/></rdf:RDF>")
    with pytest.raises(ValueError, match=r"g\.rdf:\d: this entity expands to up to .* bytes"):
        read(file)


def test_xml_reference_bombs_are_rejected(read: Read, tmp_path: Path) -> None:
    file = tmp_path / "g.rdf"
    head = _declared(f'<!ENTITY a "{"x" * 60_000}">')
    file.write_text(f"{head}<p:x><p:y>{'&a;' * 100_000}</p:y></p:x></rdf:RDF>")
    with pytest.raises(ValueError, match=r"g\.rdf:1: the entities in lines 1 to 6 stand for up to 6,000"):
        read(file)


@pytest.mark.parametrize("ending", SERIALISATIONS)
def test_byte_order_mark_is_skipped(read: Read, tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"g.{ending}"
    file.write_bytes(b"\xef\xbb\xbf" + convert(SERIALISATIONS[ending]))
    found = read(file)
    assert not found.problems
    assert len(found.facts()) == 1


@pytest.mark.parametrize("ending", [b"", b"\n"])
def test_truncated_xml_is_reported(read: Read, tmp_path: Path, ending: bytes) -> None:
    file = tmp_path / "g.rdf"
    file.write_bytes(convert(RdfFormat.RDF_XML)[:-40] + ending)
    (problem,) = read(file).problems
    lines = len(file.read_bytes().splitlines())
    assert problem.startswith(f"g.rdf:{lines}: ")
    assert problem.endswith("(here or shortly before)")


def test_a_bad_element_of_xml_is_located_within_a_few_lines(read: Read, tmp_path: Path) -> None:
    rdf = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:p="http://p/"'
    lines = [
        f'<rdf:Description rdf:about="http://a/{n}"><p:q rdf:resource="http://b"/></rdf:Description>'
        for n in range(900)
    ]
    lines[698] = lines[698].replace("http://a/", "http://a /")
    file = tmp_path / "g.rdf"
    file.write_text("\n".join([f"<rdf:RDF {rdf}>", *lines, "</rdf:RDF>"]))
    found = read(file)
    assert len(found.facts()) == 899
    (problem,) = found.problems
    assert 700 <= int(problem.split(":")[1]) <= 703


def test_a_type_shared_by_name_keeps_its_iri(read: Read, tmp_path: Path) -> None:
    file = tmp_path / "g.ttl"
    file.write_text("@prefix : <http://a/> . :x a :Bank ; :p :y . :y a <http://b/Bank> .")
    assert set(read(file).graph.type_names) == {"Bank (http://a/Bank)", "Bank (http://b/Bank)"}


def test_local_names_of_iris() -> None:
    assert local_name("http://ex.org/New_York%20City") == "New York City"
    assert local_name("http://ex.org/onto#City") == "City"
    assert local_name("urn:isbn:123") == "123"
    assert local_name("http://ex.org/") == "ex.org"


@given(st.binary(max_size=200), st.sampled_from([".nt", ".ttl", ".rdf", ".nq"]))
@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    deadline=None,
)
def test_rdf_of_any_bytes_terminates(
    read: Read, tmp_path_factory: pytest.TempPathFactory, data: bytes, ending: str
) -> None:
    file = tmp_path_factory.mktemp("rdf") / f"g{ending}"
    file.write_bytes(data)
    read(file)


pieces = st.sampled_from(
    [
        "<http://a/1>",
        "<http://a/2>",
        "<http://a/",
        '"text"',
        '"open',
        "_:b",
        " ",
        " .",
        ".",
        "#",
        "\n",
        "\n",
        "\r\n",
        "@en",
        "ü",
    ]
)
good = st.tuples(st.integers(0, 3), st.integers(0, 3)).map(
    lambda pair: f"<http://a/{pair[0]}> <http://a/p> <http://a/{pair[1]}> .\n"
)


@given(st.lists(good | st.lists(pieces, max_size=6).map("".join), max_size=12).map("".join))
@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    deadline=None,
)
def test_n_triples_lines_are_parsed_independently(
    read: Read, tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    file = tmp_path_factory.mktemp("rdf") / "g.nt"
    file.write_bytes(text.encode())
    facts, bad = set(), []
    for number, line in enumerate(text.encode().split(b"\n"), start=1):
        try:
            for quad in parse(line, RdfFormat.N_TRIPLES):
                if isinstance(quad.subject, NamedNode) and isinstance(quad.object, NamedNode):
                    facts.add((quad.subject.value, quad.predicate.value, quad.object.value))
        except SyntaxError:
            bad.append(f"g.nt:{number}")
    found = read(file)
    assert found.facts() == facts
    assert [problem.split(": ")[0] for problem in found.problems] == bad


nodes = st.integers(0, 6).map(lambda number: NamedNode(f"http://ex.org/{number}"))


@given(st.lists(st.builds(Quad, nodes, nodes, nodes), max_size=25))
@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    deadline=None,
)
def test_statements_between_resources_are_triples(
    read: Read, tmp_path_factory: pytest.TempPathFactory, quads: list[Quad]
) -> None:
    file = tmp_path_factory.mktemp("rdf") / "g.nq"
    file.write_bytes(serialize(quads, format=RdfFormat.N_QUADS) or b"")
    expected = {(q.subject.value, q.predicate.value, q.object.value) for q in quads}  # type: ignore[union-attr]
    found = read(file)
    assert found.facts() == expected
    assert set(found.graph.ids) == {node for head, _, tail in expected for node in (head, tail)}
