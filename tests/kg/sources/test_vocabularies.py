"""The meaning of each vocabulary's predicates, each by a small file of its kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from kg.sources.reading import Choices
from kg.sources.vocabularies import VOCABULARIES, Role, compact, curie, use_of
from tests.support.sources import Read, Reading

PREFIXES = "".join(f"@prefix {row.prefix}: <{row.namespaces[0]}> .\n" for row in VOCABULARIES) + (
    "@prefix : <http://ex.org/> .\n@prefix wd: <http://www.wikidata.org/entity/> .\n"
    "@prefix obo: <http://purl.obolibrary.org/obo/> .\n"
)


def read_turtle(read: Read, folder: Path, text: str) -> Reading:
    file = folder / "g.ttl"
    file.write_text(PREFIXES + text, encoding="utf-8")
    found = read(file)
    assert not found.problems
    return found


def test_skos_xl_labels_are_read(read: Read, tmp_path: Path) -> None:
    found = read_turtle(
        read, tmp_path,
        ':1 skosxl:prefLabel :l1, :l1de ; skosxl:altLabel [ skosxl:literalForm "corn"@en ] ; skos:broader :2 .\n'
        ':l1 a skosxl:Label ; skosxl:literalForm "maize"@en . :l1de skosxl:literalForm "Mais"@de .\n'
        ':2 skosxl:prefLabel :l2 ; skos:hiddenLabel "cerials"@en . :l2 skosxl:literalForm "cereals"@en .\n'
        ":2 skos:inScheme :s . :s a skos:ConceptScheme .",
    )  # fmt: skip
    entities = [found.graph.entity(row) for row in range(len(found.graph))]
    assert [(e.label, e.aliases, e.types) for e in entities] == [
        ("maize", ("corn",), ()), ("cereals", ("cerials",), ()),
    ]  # fmt: skip


def test_wikidata_rdf_is_read(read: Read, tmp_path: Path) -> None:
    found = read_turtle(
        read, tmp_path,
        'wd:Q1 a wikibase:Item ; rdfs:label "Oslo"@en ; wdt:P17 wd:Q2 ; wdt:P31 wd:Q3 ; wdt:P18 '
        '<http://commons.wikimedia.org/x> .\n'
        'wd:Q2 rdfs:label "Norway"@en . wd:Q3 rdfs:label "city"@en . wd:Q9 owl:sameAs wd:Q1 .\n'
        'wd:P17 a wikibase:Property ; rdfs:label "country"@en ; wikibase:directClaim wdt:P17 .\n'
        '<http://data/Q1> a schema:Dataset ; schema:about wd:Q1 ; wikibase:sitelinks 250 .\n'
        '<http://en/Oslo> a schema:Article ; schema:about wd:Q1 ; schema:name "Oslo"@en .\n'
        "<http://en/Norway> a schema:Article ; schema:about wd:Q2 .",
    )  # fmt: skip
    oslo, norway = (found.graph.entity(row) for row in range(2))
    assert len(found.graph) == 2
    assert (oslo.label, oslo.types, oslo.prior, norway.prior) == ("Oslo", ("city",), 250.0, 1.0)
    assert [relation.label for relation in found.graph.relations] == ["country"]
    assert list(found.graph.further_ids()) == [("http://www.wikidata.org/entity/Q9", 0)]
    assert found.left_out["media and addresses"] == 1
    assert found.left_out["documents about an entity"] == 3


def test_dbpedia_redirects_become_aliases_and_other_statements_are_skipped(
    read: Read, tmp_path: Path
) -> None:
    found = read_turtle(
        read, tmp_path,
        ':Oslo dbo:country :Norway ; dbo:abstract "capital"@en ; dbo:wikiPageWikiLink :Fjord ; foaf:depiction :p .\n'
        ":Christiania dbo:wikiPageRedirects :Oslo . :Kristiania dbo:wikiPageRedirects :Christiania .\n"
        ":Bergen dbo:near :Christiania . :a dbo:wikiPageRedirects :b . :b dbo:wikiPageRedirects :a .",
    )  # fmt: skip
    assert found.facts() == {
        ("http://ex.org/Oslo", "http://dbpedia.org/ontology/country", "http://ex.org/Norway"),
        ("http://ex.org/Bergen", "http://dbpedia.org/ontology/near", "http://ex.org/Oslo"),
    }
    oslo = found.graph.entity(found.graph.row("http://ex.org/Oslo"))
    assert set(oslo.aliases) == {"Christiania", "Kristiania"}
    assert oslo.description == "capital"
    assert found.left_out["statements that are no facts"] == 2


@pytest.mark.parametrize(
    ("text", "label", "aliases"),
    [
        (':1 fb:type.object.name "Oslo"@en ; fb:common.topic.alias "Christiania"@en .', "Oslo", ("Christiania",)),
        (':1 gn:name "Oslo" ; gn:alternateName "Christiania"@en , "Ослo"@ru .', "Oslo", ("Christiania",)),
        (
            ':1 rdfs:label "Oslo"@en ; mesh:preferredConcept :c . :c rdfs:label "Oslo"@en ; mesh:term :t . '
            ':t mesh:prefLabel "Oslo"@en ; mesh:altLabel "Christiania"@en .',
            "Oslo", ("Christiania",),
        ),
        (':1 foaf:name "Oslo" ; foaf:nick "Christiania" .', "Oslo", ("Christiania",)),
        (':1 schema:name "Oslo"@en ; schema:alternateName "Christiania"@en .', "Oslo", ("Christiania",)),
        (
            ':1 rdfs:label "Oslo" ; oboInOwl:hasRelatedSynonym "Tigerstaden" ; oboInOwl:hasExactSynonym '
            '"Christiania" .',
            "Oslo", ("Christiania", "Tigerstaden"),
        ),
    ],
)  # fmt: skip
def test_labels_and_aliases_of_every_vocabulary_are_read(
    read: Read, tmp_path: Path, text: str, label: str, aliases: tuple[str, ...]
) -> None:
    found = read_turtle(read, tmp_path, text)
    assert [(e.label, e.aliases) for e in map(found.graph.entity, range(len(found.graph)))] == [
        (label, aliases)
    ]


def test_owl_class_expressions_become_triples(read: Read, tmp_path: Path) -> None:
    found = read_turtle(
        read, tmp_path,
        ":part a owl:ObjectProperty ; rdfs:label \"part of\" . :note a owl:AnnotationProperty ; rdfs:label \"note\" .\n"
        ":Hand rdfs:subClassOf :Thing, [ owl:onProperty :part ; owl:someValuesFrom :Arm ] ,\n"
        "  [ owl:onProperty :part ; owl:allValuesFrom :Arm ] .\n"
        ":Pizza owl:equivalentClass [ owl:intersectionOf ( :Food [ owl:onProperty :part ; owl:hasValue "
        ":Cheese ] ) ] .\n"
        ":Old owl:deprecated true ; rdfs:label \"old\" ; rdfs:subClassOf :Thing ; obo:IAO_0100001 :Hand .\n"
        ":Loop rdfs:subClassOf [ owl:intersectionOf _:l ] . _:l rdf:first :Food ; rdf:rest _:l .",
    )  # fmt: skip
    sub, part = "http://www.w3.org/2000/01/rdf-schema#subClassOf", "http://ex.org/part"
    assert {(h[14:], r, t[14:]) for h, r, t in found.facts()} == {
        ("Hand", sub, "Thing"), ("Hand", part, "Arm"), ("Pizza", sub, "Food"), ("Pizza", part, "Cheese"),
        ("Loop", sub, "Food"),
    }  # fmt: skip
    assert set(found.graph.labels) == {"Hand", "Thing", "Arm", "Pizza", "Food", "Cheese", "Loop"}
    assert ("http://ex.org/Old", found.graph.row("http://ex.org/Hand")) in list(found.graph.further_ids())
    assert found.left_out["obsolete terms"] == 1
    assert found.left_out["class expressions that state no triple (only, or, not, a number)"] == 1


def test_restriction_to_a_deprecated_class_is_counted_by_its_kind(read: Read, tmp_path: Path) -> None:
    found = read_turtle(
        read, tmp_path,
        ":part a owl:ObjectProperty . :Old owl:deprecated true .\n"
        ":Hand rdfs:subClassOf :Limb, :Old, [ owl:onProperty :part ; owl:someValuesFrom :Old ] ,\n"
        "  [ owl:onProperty :part ; owl:someValuesFrom :Arm ] .",
    )  # fmt: skip
    left = "statements of properties, documents, names and obsolete terms"
    part = "http://ex.org/part in class expressions"
    assert found.account.taken_by("facts") == {"rdfs:subClassOf": 1, part: 1}
    assert found.account.taken["facts"] == len(found.facts()) == 2
    assert found.left_out[left] == 2
    assert f"left out: {left}: 2 (rdfs:subClassOf 1, {part} 1)" in list(found.account.lines())


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_uninformative_types_are_skipped_in_either_scheme(read: Read, tmp_path: Path, scheme: str) -> None:
    found = read_turtle(
        read, tmp_path,
        f":1 a <{scheme}://schema.org/Thing>, <{scheme}://www.geonames.org/ontology#Feature>, :City ; :in :2 .",
    )  # fmt: skip
    assert found.graph.type_names == ["City"]
    assert found.left_out == {"uninformative types": 2}


@pytest.mark.parametrize(
    ("better", "worse"),
    [("rdfs:label", "skos:prefLabel"), ("skos:prefLabel", "schema:name"), ("schema:name", "dct:title")],
)
def test_label_ranks_hold_across_vocabularies(read: Read, tmp_path: Path, better: str, worse: str) -> None:
    found = read_turtle(read, tmp_path, f':1 {worse} "worse" ; {better} "better" ; :in :2 .')
    entity = found.graph.entity(found.graph.row("http://ex.org/1"))
    assert (entity.label, entity.aliases) == ("better", ("worse",))


def test_vocabulary_prefixes_and_namespaces_are_unique() -> None:
    prefixes = [row.prefix for row in VOCABULARIES]
    namespaces = [namespace for row in VOCABULARIES for namespace in row.namespaces]
    assert len(set(prefixes)) == len(prefixes)
    assert len(set(namespaces)) == len(namespaces)


def test_uses_and_short_names_of_predicates() -> None:
    assert use_of("http://www.wikidata.org/prop/direct/P17").role is Role.FACT
    assert use_of("http://www.wikidata.org/prop/statement/P17").role is Role.NO_FACT
    assert use_of("http://ex.org/p").role is Role.FACT
    assert compact("http://www.w3.org/2000/01/rdf-schema#label") == "rdfs:label"
    assert curie("http://purl.obolibrary.org/obo/DOID_0001816") == "DOID:0001816"
    assert curie("http://purl.obolibrary.org/obo/toy#part_of") is None


def test_relations_are_selected(read: Read, tmp_path: Path) -> None:
    from kg.problems import Problems
    from kg.sources.reading import Relations
    from kg.sources.table import FORMATS, read_source
    from kg.writer import GraphWriter

    file = tmp_path / "g.spo"
    file.write_text("a\tr\tb\nb\ts\tc\nc\tr\td\n")

    def chosen(relations: Relations) -> tuple[set[str], dict[str, int]]:
        writer = GraphWriter(tmp_path / "out")
        account = read_source(
            FORMATS["spo"], file, writer, Problems(), lambda _: None, Choices(relations=relations)
        )
        graph = writer.finish()
        return {graph.relation(r).id for _, r, _ in graph.triples().tolist()}, account.left_out

    assert chosen(Relations(include=("s",))) == ({"s"}, {"triples of relations that were not chosen": 2})
    assert chosen(Relations(exclude=("s",))) == ({"r"}, {"triples of relations that were not chosen": 1})
    with pytest.raises(ValueError, match="no relation is called 'x'; there are r, s"):
        chosen(Relations(exclude=("x",)))
