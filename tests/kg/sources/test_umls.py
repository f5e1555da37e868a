"""UMLS."""

from __future__ import annotations

from pathlib import Path

import pytest

from kg.schema import Entity, Relation
from kg.sources.reading import Choices
from kg.sources.table import guess
from tests.support.sources import Read


def name(cui: str, text: str, language: str = "ENG", status: str = "P", suppressed: str = "N") -> str:
    return f"{cui}|{language}|{status}|L1|PF|S1|Y|A1||||MSH|PT|D{cui[1:]}|{text}|0|{suppressed}|256|\n"


def relation(first: str, rel: str, second: str, named: str = "") -> str:
    return f"{first}|A|AUI|{rel}|{second}|A|AUI|{named}|R||MSH|MSH|||N||\n"


def write(folder: Path) -> Path:
    files = {
        "MRCONSO.RRF": name("C1", "asthmatic", status="S") + name("C1", "Asthma") + name("C2", "Disease")
        + name("C2", "Mal", "SPA") + name("C3", "gone", suppressed="O") + "short|row\n",
        "MRREL.RRF": relation("C2", "CHD", "C1", "isa") + relation("C1", "PAR", "C2") + relation("C1", "RO", "C1")
        + relation("C1", "RO", "C3"),
        "MRDEF.RRF": "C1|A|AT||MSH|A disease of the airways.|N||\n",
        "MRSTY.RRF": "C1|T047|B|Disease or Syndrome|AT||\n",
    }  # fmt: skip
    for file, text in files.items():
        (folder / file).write_text(text)
    return folder


def test_umls_concepts_and_relations_are_read(read: Read, tmp_path: Path) -> None:
    assert guess(write(tmp_path)).name == "umls"
    found = read(tmp_path)
    asthma = Entity("C1", "Asthma", ("asthmatic",), "A disease of the airways.", ("Disease or Syndrome",))
    assert found.graph.entity(0) == asthma
    assert found.facts() == {("C1", "isa", "C2"), ("C1", "PAR", "C2")}  # what CUI2 is to CUI1
    assert set(found.graph.relations) == {Relation("isa", "isa"), Relation("PAR", "has parent")}
    assert ("MSH:D1", 0) in list(found.graph.further_ids())
    assert found.left_out == {
        "suppressed names": 1, "names in other languages": 1,
        "relations of a concept with itself, or suppressed": 1, "relations of concepts without a name": 1,
    }  # fmt: skip
    assert found.problems == ["MRCONSO.RRF:6: expected 18 columns separated by |, found 2"]
    assert read(tmp_path, Choices(languages=("es", "en"))).graph.labels[1] == "Mal"


def test_umls_missing_files_are_named(tmp_path: Path) -> None:
    from kg.sources.umls import find_umls

    with pytest.raises(ValueError, match=r"expected a folder of UMLS with MRCONSO\.RRF and MRREL\.RRF"):
        find_umls(tmp_path)
