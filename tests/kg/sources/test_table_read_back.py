"""Any graph that is written in a format is read back: ids, names and facts. Formats of other test files have theirs
there."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import networkx as nx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kg.sources.table import FORMATS
from kg.sources.vocabularies import OBO
from tests.support.sources import Read

Facts = set[tuple[str, str, str]]
Names = dict[str, str]
SYNONYM = "900000000000013009"


def lines(file: Path, rows: Iterable[Iterable[object]], between: str = "\t", end: str = "\n") -> Path:
    file.write_text(
        "".join(between.join(map(str, row)) + end for row in rows), encoding="utf-8", newline="\n"
    )
    return file


def write_native(folder: Path, facts: Facts, names: Names) -> Path:
    lines(folder / "triples.tsv", facts)
    records = [json.dumps({"id": id, "label": name}, ensure_ascii=False) for id, name in names.items()]
    lines(folder / "entities.jsonl", [[record] for record in records])
    return folder


def write_conceptnet(folder: Path, facts: Facts, _: Names) -> Path:
    return lines(folder / "c.csv", ((f"/a/[{r}/,{h}/,{t}/]", r, h, t, "{}") for h, r, t in facts))


def write_cskg(folder: Path, facts: Facts, names: Names) -> Path:
    rows = ((h, r, t, f'"{names[h]}"', f'"{names[t]}"') for h, r, t in facts)
    return lines(folder / "c.tsv", [("node1", "relation", "node2", "node1;label", "node2;label"), *rows])


def write_openke(folder: Path, facts: Facts, names: Names) -> Path:
    numbers = {id: number for number, id in enumerate(names)}
    relations = {id: number for number, id in enumerate(sorted({r for _, r, _ in facts}))}
    lines(folder / "entity2id.txt", [[len(numbers)], *numbers.items()])
    lines(folder / "relation2id.txt", [[len(relations)], *relations.items()])
    lines(folder / "entity2name.txt", names.items())
    triples = [(numbers[h], numbers[t], relations[r]) for h, r, t in facts]
    lines(folder / "train2id.txt", [[len(triples)], *triples], " ")
    return folder


def write_umls(folder: Path, facts: Facts, names: Names) -> Path:
    lines(folder / "MRCONSO.RRF", (
        (id, "ENG", "P", "L", "PF", "S", "Y", "A", "", "", "", "X", "PT", "NOCODE", name, "0", "N", "") for id, name in
        names.items()
    ), "|", "|\n")  # fmt: skip
    lines(folder / "MRREL.RRF", (
        (t, "A", "AUI", "RO", h, "A", "AUI", r, "R", "", "X", "X", "", "", "N", "") for h, r, t in facts
    ), "|", "|\n")  # fmt: skip
    return folder


def write_snomed(folder: Path, facts: Facts, names: Names) -> Path:
    header = ("id", "active", "conceptId", "languageCode", "typeId", "term")
    rows = ((f"d{id}", 1, id, "en", SYNONYM, name) for id, name in names.items())
    lines(folder / "sct2_Description_Snapshot-en.txt", [header, *rows], end="\r\n")
    header = ("id", "active", "sourceId", "destinationId", "typeId", "x")
    rows = ((f"{h}{r}{t}", 1, h, t, r, "") for h, r, t in facts)
    lines(folder / "sct2_Relationship_Snapshot.txt", [header, *rows], end="\r\n")
    return folder


def write_tables(folder: Path, facts: Facts, names: Names) -> Path:
    for file, rows in {
        "nodes.csv": [(":ID", "name"), *names.items()],
        "edges.csv": [(":START_ID", ":TYPE", ":END_ID"), *facts],
    }.items():
        with (folder / file).open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows(rows)
    return folder


def write_obo_json(folder: Path, facts: Facts, names: Names) -> Path:
    nodes = [{"id": id, "lbl": name, "type": "CLASS"} for id, name in names.items()]
    edges = [{"sub": h, "pred": r, "obj": t} for h, r, t in facts]
    file = folder / "g.obo.json"
    file.write_text(json.dumps({"graphs": [{"nodes": nodes, "edges": edges}]}))
    return file


def write_wikidata(folder: Path, facts: Facts, names: Names) -> Path:
    def item(id: str, name: str) -> dict[str, object]:
        claims: dict[str, list[object]] = {}
        for head, relation, tail in facts:
            if head == id:
                value = {"type": "wikibase-entityid", "value": {"entity-type": "item", "id": tail}}
                snak = {"snaktype": "value", "property": relation, "datavalue": value}
                claims.setdefault(relation, []).append({"mainsnak": snak, "rank": "normal"})
        return {"type": "item", "id": id, "labels": {"en": {"value": name}}, "claims": claims}

    file = folder / "g.json"
    file.write_text(json.dumps({"entities": {id: item(id, name) for id, name in names.items()}}, indent=1))
    return file


def write_graphml(folder: Path, facts: Facts, names: Names) -> Path:
    graph = nx.MultiDiGraph()
    for id, name in names.items():
        graph.add_node(id, label=name)
    for head, relation, tail in facts:
        graph.add_edge(head, tail, relation=relation)
    nx.write_graphml(graph, folder / "g.graphml")
    return folder / "g.graphml"


def plain(word: str, _number: int) -> str:
    return word


WRITERS: dict[
    str, tuple[Callable[[Path, Facts, Names], Path], Callable[[str, int], str], Callable[[str, int], str]]
]
WRITERS = {
    "native": (write_native, plain, plain),
    "conceptnet": (write_conceptnet, lambda word, _: f"/c/en/{word}", lambda word, _: f"/r/{word}"),
    "cskg": (write_cskg, plain, plain),
    "openke": (write_openke, lambda word, _: f"/m/{word} {word}", plain),
    "umls": (write_umls, plain, plain),
    "snomed": (write_snomed, plain, plain),
    "nodes-edges": (write_tables, plain, plain),
    "obo-json": (write_obo_json, lambda word, _: f"{OBO}T_{word}", lambda word, _: f"http://e.org/{word}"),
    "wikidata": (write_wikidata, lambda _, number: f"Q{number + 1}", lambda _, number: f"P{number + 1}"),
    "graphml": (write_graphml, plain, plain),
}  # fmt: skip
"""Format → what writes it, and what its ids of entities and relations look like."""
OF_OTHER_FILES = {"csv", "spo", "obo", "rdf", "wordnet"}

words = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=5)
names = (
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn", "Zl", "Zp"], exclude_characters="|\"'"), max_size=12)
    .map(lambda text: " ".join(text.split()))
    .filter(bool)
)  # fmt: skip


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[str], list[str], list[tuple[int, int, int]], list[str]]:
    """Words of entities and of relations, facts by number, and a name of each entity."""
    entities = draw(st.lists(words, min_size=2, max_size=5, unique=True))
    relations = draw(st.lists(words, min_size=1, max_size=3, unique=True))
    entity = st.integers(0, len(entities) - 1)
    fact = st.tuples(entity, st.integers(0, len(relations) - 1), entity).filter(lambda one: one[0] != one[2])
    facts = draw(st.lists(fact, min_size=1, max_size=6))
    return entities, relations, facts, draw(st.lists(names, min_size=len(entities), max_size=len(entities)))


def test_every_format_is_read_back_somewhere() -> None:
    assert WRITERS.keys() | OF_OTHER_FILES == {name for name, row in FORMATS.items() if not row.package}


@pytest.mark.parametrize("name", WRITERS)
@given(graph=graphs())
@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_written_graph_is_read_back(
    read: Read,
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    graph: tuple[list[str], list[str], list[tuple[int, int, int]], list[str]],
) -> None:
    write, entity_id, relation_id = WRITERS[name]
    entities, relations, numbers, called = graph
    ids = [entity_id(word, number) for number, word in enumerate(entities)]
    kinds = [relation_id(word, number) for number, word in enumerate(relations)]
    facts = {(ids[h], kinds[r], ids[t]) for h, r, t in numbers}
    met = [id for id in ids if any(id in (h, t) for h, _, t in facts)]
    names = {id: text for id, text in zip(ids, called, strict=True) if id in met}
    found = read(write(tmp_path_factory.mktemp(name), facts, names), format=name)
    assert found.problems == []
    assert found.facts() == facts
    if name == "conceptnet":
        names = {id: id.rpartition("/")[2] for id in met}
    labels = dict(zip(found.graph.ids, found.graph.labels, strict=True))
    assert labels == names
    assert found.account.taken["facts"] == len(facts)
