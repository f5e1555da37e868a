"""Entity declarations that are split over chunks, and references without declarations."""

from __future__ import annotations

from pathlib import Path

import pytest

from kg.sources.xml_bounds import DEEPEST, LONGEST, XmlBounds


def test_xml_declaration_may_span_several_chunks() -> None:
    bounds = XmlBounds(Path("g.rdf"))
    bounds.check(1, b"<!DOCTYPE r [\n<!ENTITY a\n")
    bounds.check(3, b"'" + b"x" * 1000 + b"\n")
    bounds.check(4, b"'>\n")
    with pytest.raises(ValueError, match=r"g\.rdf:6: this entity expands to up to 100"):
        bounds.check(5, b"\n<!ENTITY b '" + b"&a;" * 100 + b"'>\n")


def test_xml_entity_of_the_maximum_length_is_accepted() -> None:
    text = b"<!ENTITY a '" + b"x" * LONGEST + b"'>"
    XmlBounds(Path("g.rdf")).check(1, text)
    with pytest.raises(ValueError, match="bytes, more than"):
        XmlBounds(Path("g.rdf")).check(1, text.replace(b"xx", b"xxx", 1))


def test_references_without_declarations_are_accepted() -> None:
    XmlBounds(Path("g.rdf")).check(1, b"<a>" + b"&amp;" * 100_000 + b"<!-- <!ENTITY --></a>")


def test_too_deeply_nested_elements_are_rejected_with_their_line() -> None:
    def nested(levels: int) -> bytes:
        return b"<!-- > --><?x y?>\n" + b"<a>\n" * levels + b"<b/>" * 9 + b"</a>" * levels

    XmlBounds(Path("g.rdf")).check(1, nested(DEEPEST - 1))
    with pytest.raises(ValueError, match=rf"g\.rdf:{DEEPEST + 2}: elements nested more than 2,000 deep"):
        XmlBounds(Path("g.rdf")).check(1, nested(DEEPEST + 1))
    bounds = XmlBounds(Path("g.rdf"))
    for _ in range(10):  # what is closed does not count
        bounds.check(1, nested(DEEPEST - 1))
    bounds.check(1, b"<a>" * (DEEPEST - 1))
    with pytest.raises(ValueError, match="deep"):
        bounds.check(9, b"<a><a>")
