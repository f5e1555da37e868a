"""RDF: N-Triples, N-Quads, Turtle, TriG and RDF/XML, by pyoxigraph; plain, gzip or bzip2.

What an RDF file says of a resource is sorted into what a graph here is made of:

- names: rdfs:label, skos:prefLabel, schema:name, foaf:name; and, as aliases only, skos:altLabel, schema:alternateName;
- description: schema:description, dct:description, dc:description, skos:definition, rdfs:comment;
- types: rdf:type, and Wikidata's "instance of";
- triples: every other statement whose object is a resource.

Other literals and blank nodes have no place in the graph: they are counted as left out.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from kg.arrays import Bools
from kg.problems import Problems
from kg.schema import Entity, Relation
from kg.sources.gathered import Gathered
from kg.sources.rdf_statements import parse_statements
from kg.sources.reading import Choices, Tick, rank_language
from kg.writer import GraphWriter

_SCHEMA = ("http://schema.org/", "https://schema.org/")
_SKOS = "http://www.w3.org/2004/02/skos/core#"
_RDFS = "http://www.w3.org/2000/01/rdf-schema#"
_LABELS = {
    f"{_RDFS}label", f"{_SKOS}prefLabel", "http://xmlns.com/foaf/0.1/name", *(f"{schema}name" for schema in _SCHEMA),
}  # fmt: skip
_ALIASES = {f"{_SKOS}altLabel", *(f"{schema}alternateName" for schema in _SCHEMA)}
_DESCRIPTIONS = {
    f"{_RDFS}comment", f"{_SKOS}definition", "http://purl.org/dc/terms/description",
    "http://purl.org/dc/elements/1.1/description", *(f"{schema}description" for schema in _SCHEMA),
}  # fmt: skip
_KINDS = dict.fromkeys(_LABELS, "l") | dict.fromkeys(_ALIASES, "a") | dict.fromkeys(_DESCRIPTIONS, "d")
_TYPES = {
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#type",
    "http://www.wikidata.org/prop/direct/P31",
}


def read_rdf(
    file: Path, writer: GraphWriter, problems: Problems, tick: Tick, choices: Choices
) -> Counter[str]:
    """Read `file` into `writer`; an entity's id is its IRI. Heeds `languages`.

    The label is the first name in the best language, or else the end of the IRI. An entity is what stands
    in a triple, or has a name or a type and is neither a relation nor a type.
    """
    content = _Content(choices.languages)
    for statement in parse_statements(file, problems, tick):
        content.add(*statement)
    content.write(writer)
    return content.left_out


class _Content:
    """The statements of a file, sorted by what they are to a graph. Resources are numbered as they are met."""

    def __init__(self, languages: tuple[str, ...]) -> None:
        from pyoxigraph import BlankNode, Literal

        self._blank, self._literal = BlankNode, Literal
        self._languages = languages
        self._numbers: dict[str, int] = defaultdict(count().__next__)
        self._triples, self._types = array("i"), array("i")
        self._said = Gathered()
        self.left_out: Counter[str] = Counter()

    def add(self, subject: Any, predicate: Any, object: Any) -> None:
        """Take one statement."""
        if type(subject) is self._blank or type(object) is self._blank:
            self.left_out["statements with blank nodes"] += 1
            return
        name = predicate.value
        if type(object) is self._literal:
            self._add_literal(subject, name, object)
        elif name in _TYPES:
            self._types.extend((self._numbers[subject.value], self._numbers[object.value]))
        elif hasattr(object, "value"):
            numbers = self._numbers
            self._triples.extend((numbers[subject.value], numbers[name], numbers[object.value]))
        else:
            self.left_out["statements about statements"] += 1  # RDF-star

    def _add_literal(self, subject: Any, predicate: str, object: Any) -> None:
        kind = _KINDS.get(predicate)
        rank = rank_language(object.language or "", self._languages) if kind else None
        text = " ".join(object.value.split())
        if kind is None:
            self.left_out["literal values"] += 1
        elif rank is None:
            self.left_out["texts in other languages"] += 1
        elif text:
            self._said.add(self._numbers[subject.value], kind, min(rank, 255), text)

    def write(self, writer: GraphWriter) -> None:
        """Hand entities, relations and triples to the writer."""
        total = len(self._numbers)
        triples = np.frombuffer(self._triples, np.int32).reshape(-1, 3)
        types = np.frombuffer(self._types, np.int32).reshape(-1, 2)
        types = types[np.argsort(types[:, 0], kind="stable")]
        type_starts = np.searchsorted(types[:, 0], np.arange(total + 1))
        in_triple, is_relation, is_type = (np.zeros(total, bool) for _ in range(3))
        in_triple[triples[:, 0]] = in_triple[triples[:, 2]] = True
        is_relation[triples[:, 1]] = is_type[types[:, 1]] = True
        rows, relation_rows = np.full(total, -1, np.int32), np.full(total, -1, np.int32)
        self._said.seal(total)
        type_names = self._type_names(is_type)
        for iri, number in self._numbers.items():
            label, *aliases = self._names(iri, number)
            if is_relation[number]:
                relation_rows[number] = writer.add_relation(Relation(iri, label))
            if not in_triple[number] and (is_relation[number] or is_type[number]):
                continue
            of_entity = types[type_starts[number] : type_starts[number + 1], 1].tolist()
            kinds = tuple(dict.fromkeys(type_names[kind] for kind in of_entity))
            description = next((text for kind, _, text in self._said.of(number) if kind == "d"), "")
            rows[number] = writer.add_entity(Entity(iri, label, tuple(aliases), description, kinds))
        coded = np.stack([rows[triples[:, 0]], relation_rows[triples[:, 1]], rows[triples[:, 2]]], axis=1)
        writer.add_triples("train", coded)

    def _names(self, iri: str, number: int) -> list[str]:
        """The label and then the aliases, each once: names before aliases, the best language first."""
        said = self._said.of(number)
        labels = [text for kind, _, text in said if kind == "l"] or [local_name(iri)]
        return list(dict.fromkeys([*labels, *(text for kind, _, text in said if kind == "a")]))

    def _type_names(self, is_type: Bools) -> dict[int, str]:
        """What types are called: their label, with the IRI behind it where two types share one."""
        iris = list(self._numbers)
        names = {number: self._names(iris[number], number)[0] for number in np.flatnonzero(is_type).tolist()}
        uses = Counter(names.values())
        return {n: name if uses[name] == 1 else f"{name} ({iris[n]})" for n, name in names.items()}


def local_name(iri: str) -> str:
    """The end of an IRI as people read it: ".../New_York%20City" → "New York City"."""
    trimmed = iri.rstrip("/#")
    end = max(trimmed.rfind("/"), trimmed.rfind("#"), -1 if "/" in trimmed else trimmed.rfind(":"))
    return unquote(trimmed[end + 1 :]).replace("_", " ").strip() or iri
