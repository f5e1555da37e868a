"""Ontologies as OBO graphs in JSON (`obographs`, ROBOT's `--format json`). They give the same graph as OBO and OWL.

Nodes of the types CLASS and INDIVIDUAL are entities; edges and the restrictions of definitions are triples.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kg.problems import Problems
from kg.sources.account import Account
from kg.sources.collected import Collected
from kg.sources.obo import OBSOLETE
from kg.sources.reading import Choices, Tick, read_whole_json
from kg.sources.vocabularies import (
    LABELS,
    OBO_IN_OWL,
    RDF,
    SUBCLASS,
    Role,
    compact,
    curie,
    local_name,
    use_of,
)
from kg.writer import GraphWriter

_SCOPES = {"hasExactSynonym": 0, "hasNarrowSynonym": 1, "hasBroadSynonym": 2, "hasRelatedSynonym": 3}
_PREDICATES = {"is_a": SUBCLASS, "sub": SUBCLASS, "type": f"{RDF}type"}
_REPLACED = "http://purl.obolibrary.org/obo/IAO_0100001"


def read_obo_json(
    file: Path, writer: GraphWriter, problems: Problems, tick: Tick, _choices: Choices
) -> Account:
    """Read `file` into `writer`. An invalid node or edge is reported as a problem and skipped alone."""
    graph = Collected(local_name)
    parsed = read_whole_json(file, tick)
    graphs = parsed.get("graphs") if isinstance(parsed, dict) else None
    if not isinstance(graphs, list):
        raise ValueError(f'{file}: expected {{"graphs": [{{"nodes": …, "edges": …}}]}}')
    graph.relation(SUBCLASS, LABELS[SUBCLASS])
    for one in graphs:
        _read_graph(file, one if isinstance(one, dict) else {}, graph, problems)
    return graph.store(writer)


def _read_graph(file: Path, one: dict[str, Any], graph: Collected, problems: Problems) -> None:
    properties: dict[str, str] = {}
    for place, node in enumerate(_list(one, "nodes")):
        try:
            if _text(node, "type") == "PROPERTY":
                properties[_text(node, "id", True)] = _text(node, "lbl")
                graph.account.leave("properties", _text(node, "propertyType"))
            else:
                _read_node(node, graph)
        except ValueError as error:
            problems.add(file, 0, f"node {place + 1}: {error}")
    for place, (head, predicate, tail) in enumerate(_edges(one, graph)):
        try:
            ends = _named(head), _named(predicate), _named(tail)
        except ValueError as error:
            problems.add(file, 0, f"edge {place + 1}: {error}")
            continue
        relation = _PREDICATES.get(ends[1], ends[1])
        if {ends[0], ends[2]} & properties.keys():
            graph.account.leave("statements of properties", compact(relation))
            continue
        graph.triple(ends[0], relation, ends[2], compact(relation))
        if relation not in LABELS:
            graph.relation(relation, properties.get(relation) or local_name(relation))


def _edges(one: dict[str, Any], graph: Collected) -> Iterator[tuple[Any, Any, Any]]:
    for edge in _list(one, "edges"):
        edge = edge if isinstance(edge, dict) else {}
        yield edge.get("sub"), edge.get("pred"), edge.get("obj")
    for axiom in _list(one, "logicalDefinitionAxioms"):
        axiom = axiom if isinstance(axiom, dict) else {}
        for genus in _list(axiom, "genusIds"):
            yield axiom.get("definedClassId"), "is_a", genus
        for restriction in _list(axiom, "restrictions"):
            restriction = restriction if isinstance(restriction, dict) else {}
            yield axiom.get("definedClassId"), restriction.get("propertyId"), restriction.get("fillerId")
    for name in ("equivalentNodesSets", "domainRangeAxioms", "propertyChainAxioms"):
        graph.account.leave("axioms", name, len(_list(one, name)))


def _read_node(node: Any, graph: Collected) -> None:
    iri = _text(node, "id", True)
    meta = node.get("meta") if isinstance(node.get("meta"), dict) else {}
    values = [(_text(value, "pred"), _text(value, "val")) for value in _list(meta, "basicPropertyValues")]
    graph.entity(iri)
    if meta.get("deprecated"):
        graph.remove(iri, OBSOLETE, next((_long(value) for name, value in values if name == _REPLACED), None))
        return
    if short := curie(iri):
        graph.tell(iri, Role.FURTHER_ID, short, "id")
    graph.tell(iri, Role.NAME, _text(node, "lbl"), "lbl")
    if isinstance(definition := meta.get("definition"), dict):
        graph.tell(iri, Role.DESCRIPTION, _text(definition, "val"), "definition")
    for synonym in _list(meta, "synonyms"):
        scope = _text(synonym, "pred")
        graph.tell(iri, Role.ALIAS, _text(synonym, "val"), scope, _SCOPES.get(scope, 3))
    for xref in _list(meta, "xrefs"):
        graph.tell(iri, Role.FURTHER_ID, _text(xref, "val"), "xrefs", 1)
    for name, value in values:
        role = use_of(name).role
        if role in (Role.FURTHER_ID, Role.TYPE, Role.ALIAS) and name != f"{OBO_IN_OWL}id":
            graph.tell(iri, role, value, compact(name), 1)
        else:
            graph.account.leave("property values", compact(name))
    for comment in _list(meta, "comments"):
        if isinstance(comment, str):
            graph.tell(iri, Role.DESCRIPTION, comment, "comments", 3)
    graph.account.leave("values of nodes", "subsets", len(_list(meta, "subsets")))


def _long(id: str) -> str:
    """The IRI of a short id."""
    return id if "://" in id else f"http://purl.obolibrary.org/obo/{id.replace(':', '_', 1)}"


def _list(table: Any, key: str) -> list[Any]:
    found = table.get(key) if isinstance(table, dict) else None
    return found if isinstance(found, list) else []


def _text(table: Any, key: str, needed: bool = False) -> str:
    """The text of a key; "" if it is absent. Raises ValueError for another type, and for an absent key that is
    `needed`."""
    if not isinstance(table, dict):
        raise ValueError(f"expected an object, found {str(table)[:40]!r}")
    found = table.get(key)
    if found is None and not needed:
        return ""
    if not isinstance(found, str) or (needed and not found):
        raise ValueError(f"`{key}`: expected a text, found {str(found)[:40]!r}")
    return found


def _named(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"expected the ids `sub`, `pred`, `obj`, found {str(value)[:40]!r}")
    return value
