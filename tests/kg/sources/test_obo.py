"""OBO: names, scopes, definitions, relations and their ids; obsolete terms are skipped; a bad line is skipped alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kg.schema import Entity, Relation
from kg.sources.vocabularies import OBO, SUBCLASS
from tests.support.sources import Read

ONTOLOGY = """format-version: 1.4
ontology: toy
default-namespace: anatomy

[Term]
id: TOY:0001
name: hand
def: "A part with \\"fingers\\"." [book:1 "p. 2"] {source="x"}
synonym: "related one" RELATED []
synonym: "manus" EXACT latin [x:1]
xref: UMLS:C1 "hand"
alt_id: TOY:0099
is_a: TOY:0002 ! limb part
relationship: part_of TOY:0003 {c="d"} ! arm
property_value: skos:exactMatch "Q33767" xsd:string
subset: slim

[Term]
id: TOY:0002
name: limb part ! not a comment of the format's writer
namespace: other

[Term]
id: TOY:0003
name: arm
intersection_of: TOY:0002
intersection_of: continues TOY:0001

[Term]
id: TOY:0099
is_obsolete: true
name: obsolete hand
replaced_by: TOY:0001

[Typedef]
id: part_of
name: part of
xref: BFO:0000050
"""


def read_toy(read: Read, folder: Path, text: str = ONTOLOGY) -> object:
    file = folder / "toy.obo"
    file.write_text(text)
    return read(file)


def test_obo_terms_and_relations_are_read(read: Read, tmp_path: Path) -> None:
    found = read_toy(read, tmp_path)
    assert not found.problems
    hand = found.graph.entity(found.graph.row(f"{OBO}TOY_0001"))
    assert hand == Entity(
        f"{OBO}TOY_0001", "hand", ("manus", "related one"), 'A part with "fingers".', ("anatomy",)
    )
    assert found.facts() == {
        (f"{OBO}TOY_0001", SUBCLASS, f"{OBO}TOY_0002"),
        (f"{OBO}TOY_0001", f"{OBO}BFO_0000050", f"{OBO}TOY_0003"),
        (f"{OBO}TOY_0003", SUBCLASS, f"{OBO}TOY_0002"),
        (f"{OBO}TOY_0003", f"{OBO}toy#continues", f"{OBO}TOY_0001"),
    }
    assert Relation(f"{OBO}BFO_0000050", "part of") in found.graph.relations
    further = {id for id, row in found.graph.further_ids() if found.graph.ids[row] == hand.id}
    assert further == {"TOY:0001", "TOY:0099", "UMLS:C1", "Q33767", f"{OBO}TOY_0099"}
    assert set(found.graph.labels) == {"hand", "limb part", "arm"}
    assert found.left_out == {"obsolete terms": 1, "clauses": 1}


def test_obo_bad_lines_are_located(read: Read, tmp_path: Path) -> None:
    text = (
        "[Term]\nid: T:1\nname: a\nno colon\nsynonym: unquoted EXACT []\nis_a: T:2\nrelationship: part_of\n"
        "[Term]\nname: no id\n"
    )
    found = read_toy(read, tmp_path, text)
    assert found.facts() == {(f"{OBO}T_1", SUBCLASS, f"{OBO}T_2")}
    assert sorted(problem.split(": ")[0] for problem in found.problems) == [
        f"toy.obo:{n}" for n in (4, 5, 7, 9)
    ]


@pytest.mark.data
@pytest.mark.skipif("KEPIPE_DATA" not in os.environ, reason="KEPIPE_DATA is not set")
def test_three_formats_of_an_ontology_give_the_same_graph(read: Read) -> None:
    data = Path(os.environ["KEPIPE_DATA"])
    forms = [read(data / f"kg/disease-ontology/DO_cancer_slim.{ending}") for ending in ("obo", "json", "owl")]
    graphs = [form.graph for form in forms]
    entities = [
        {e.id: (e.label, set(e.aliases), e.description, e.types) for e in map(g.entity, range(len(g)))}
        for g in graphs
    ]
    further = [{(id, graph.ids[row]) for id, row in graph.further_ids()} for graph in graphs]
    assert entities[0] == entities[1] == entities[2]
    assert further[0] == further[1] == further[2]
    assert forms[0].facts() == forms[1].facts() == forms[2].facts()
    assert len(graphs[0].triples()) == 657
    assert [form.left_out["obsolete terms"] for form in forms] == [1, 1, 1]
    assert len(graphs[0]) == 730 - 1  # of which one synonym and one definition
    assert forms[0].account.taken["aliases"] == 1265 - 1
    assert forms[0].account.taken_by("descriptions")["def"] == 582 - 1


@pytest.mark.data
@pytest.mark.skipif("KEPIPE_DATA" not in os.environ, reason="KEPIPE_DATA is not set")
def test_larger_ontology_is_read(read: Read) -> None:
    found = read(Path(os.environ["KEPIPE_DATA"]) / "kg/disease-ontology/NCIthesaurus.obo")
    assert not found.problems
    assert len(found.graph) == 4757 - found.left_out["obsolete terms"]
    assert 8358 - 20 <= found.account.taken["aliases"] <= 8358


words = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=12).map(
    lambda text: " ".join(text.split())
).filter(bool)  # fmt: skip


@given(st.lists(st.tuples(words, words), min_size=1, max_size=5))
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_obo_round_trips(
    read: Read, tmp_path_factory: pytest.TempPathFactory, texts: list[tuple[str, str]]
) -> None:
    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    stanzas = [
        f"[Term]\nid: T:{number}\nname: term {number}\n"
        f"synonym: {quoted(alias)} EXACT []\ndef: {quoted(text)} []\nis_a: T:0\n"
        for number, (alias, text) in enumerate(texts)
    ]
    found = read_toy(read, tmp_path_factory.mktemp("obo"), "\n".join(stanzas))
    assert not found.problems
    read_back = [found.graph.entity(row) for row in range(len(found.graph))]
    assert [(*e.aliases, e.description) for e in read_back] == texts
