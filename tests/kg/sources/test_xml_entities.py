"""Declarations of entities that come in pieces, or stand where nothing is declared."""

from __future__ import annotations

from pathlib import Path

import pytest

from kg.sources.xml_entities import LONGEST, Expansion


def test_a_declaration_may_take_several_stretches() -> None:
    expansion = Expansion(Path("g.rdf"))
    expansion.check(1, b"<!DOCTYPE r [\n<!ENTITY a\n")
    expansion.check(3, b"'" + b"x" * 1000 + b"\n")
    expansion.check(4, b"'>\n")
    with pytest.raises(ValueError, match=r"g\.rdf:6: this entity stands for up to 100"):
        expansion.check(5, b"\n<!ENTITY b '" + b"&a;" * 100 + b"'>\n")


def test_the_longest_is_taken() -> None:
    text = b"<!ENTITY a '" + b"x" * LONGEST + b"'>"
    Expansion(Path("g.rdf")).check(1, text)
    with pytest.raises(ValueError, match="bytes, more than"):
        Expansion(Path("g.rdf")).check(1, text.replace(b"xx", b"xxx", 1))


def test_references_without_declarations_cost_nothing() -> None:
    Expansion(Path("g.rdf")).check(1, b"<a>" + b"&amp;" * 100_000 + b"<!-- <!ENTITY --></a>")
