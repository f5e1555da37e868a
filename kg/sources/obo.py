"""Ontologies in OBO 1.2 and 1.4 (Gene Ontology, Disease Ontology, …), compressed or not.

Ids are the IRIs used in OWL and OBO-graph JSON ("DOID:162" is http://purl.obolibrary.org/obo/DOID_162, with "DOID:162"
as a further id), so that the three formats of an ontology give the same graph: OBO Flat File Format 1.4, section 5.9.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from kg.problems import Problems
from kg.sources.account import Account
from kg.sources.collected import Collected
from kg.sources.reading import Choices, Tick, explain, read_lines
from kg.sources.vocabularies import LABELS, OBO, SUBCLASS, Role, local_name
from kg.writer import GraphWriter

SCOPES = {"EXACT": 0, "NARROW": 1, "BROAD": 2, "RELATED": 3}
"""Scopes of synonyms, best first."""
OBSOLETE = "obsolete terms"
_ESCAPES = {"n": " ", "W": " ", "t": " "}
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\(.)")
_COMMENT = re.compile(r"(?<!\\)\s!.*$|(?<!\\)\s\{[^}]*\}\s*(?:!.*)?$")
_SYNONYM_TAGS = {
    "exact_synonym": "EXACT", "narrow_synonym": "NARROW", "broad_synonym": "BROAD", "related_synonym": "RELATED",
}  # fmt: skip
"""Tags of synonyms in OBO 1.0."""
_MATCHES = {"skos:exactMatch", "exactMatch"}


class _Clause(NamedTuple):
    line: int
    tag: str
    value: str


class _Stanza(NamedTuple):
    kind: str
    clauses: list[_Clause]


def read_obo(file: Path, writer: GraphWriter, problems: Problems, tick: Tick, _choices: Choices) -> Account:
    """Read `file` into `writer`. An invalid line is skipped alone; a stanza without an id is skipped as a whole."""
    stanzas = list(_stanzas(file, problems, tick))
    reader = _Reader(file, problems, stanzas)
    for stanza in stanzas:
        reader.read(stanza)
    return reader.graph.store(writer)


def _stanzas(file: Path, problems: Problems, tick: Tick) -> Iterator[_Stanza]:
    """Yield the header, with kind "", and each [Term], [Typedef], [Instance]."""
    stanza = _Stanza("", [])
    for number, raw in read_lines(file, problems, tick):
        try:
            line = raw.decode().strip()
        except ValueError as error:
            problems.add(file, number, explain(error))
            continue
        if line.startswith("["):
            yield stanza
            stanza = _Stanza(line.strip("[]"), [])
        elif line and not line.startswith("!"):
            tag, colon, value = line.partition(":")
            if colon and tag and value.strip():
                stanza.clauses.append(_Clause(number, tag.strip(), value.strip()))
            else:
                problems.add(file, number, f"expected `tag: value`, found {line[:60]!r}")
    yield stanza


class _Reader:
    """Converts stanzas to a graph. The header and the ids of relations are read beforehand."""

    def __init__(self, file: Path, problems: Problems, stanzas: list[_Stanza]) -> None:
        self._file, self._problems = file, problems
        self.graph = Collected(local_name)
        self._ontology, self._namespace = "", ""
        for clause in stanzas[0].clauses:
            if clause.tag == "ontology":
                self._ontology = clause.value
            elif clause.tag == "default-namespace":
                self._namespace = clause.value
        self._relations = dict(filter(None, map(self._relation, stanzas)))
        for id, iri in self._relations.items():
            self.graph.relation(iri, id.replace("_", " "))
        self.graph.relation(SUBCLASS, LABELS[SUBCLASS])

    def _relation(self, stanza: _Stanza) -> tuple[str, str] | None:
        """Id and IRI of a [Typedef]: those of its cross-reference to RO or BFO if its own id is only a word."""
        values = {clause.tag: clause.value for clause in reversed(stanza.clauses)}
        if stanza.kind != "Typedef" or "id" not in values:
            return None
        id = _first_word(values["id"])
        xrefs = (_first_word(clause.value) for clause in stanza.clauses if clause.tag == "xref")
        known = next((xref for xref in xrefs if xref.startswith(("RO:", "BFO:"))), id)
        return id, self.iri(id if ":" in id else known)

    def iri(self, id: str) -> str:
        """The IRI of an id: "GO:0005634", an IRI, or a word of this ontology."""
        if "://" in id:
            return id
        space, colon, number = id.partition(":")
        if not colon:
            return f"{OBO}{self._ontology or self._file.name.partition('.')[0]}#{id}"
        return f"{OBO}{space}_{number}"

    def read(self, stanza: _Stanza) -> None:
        """Read a stanza."""
        ids = [_first_word(clause.value) for clause in stanza.clauses if clause.tag == "id"]
        if stanza.kind not in ("Term", "Instance"):
            if stanza.kind == "Typedef":
                names = [clause.value for clause in stanza.clauses if clause.tag == "name"]
                if ids and names:
                    self.graph.relation(self._relations[ids[0]], _unescaped(_bare(names[0])))
            elif stanza.kind:
                self.graph.account.leave("stanzas", stanza.kind)
            return
        if not ids:
            line = stanza.clauses[0].line if stanza.clauses else 0
            self._problems.add(self._file, line, f"a [{stanza.kind}] without an id")
            return
        self._entity(ids[0], stanza.clauses)

    def _entity(self, id: str, clauses: list[_Clause]) -> None:
        iri, graph = self.iri(id), self.graph
        graph.entity(iri)
        if ":" in id and "://" not in id:
            graph.tell(iri, Role.FURTHER_ID, id, "id")
        tags = {clause.tag for clause in clauses}
        if self._namespace and "namespace" not in tags:
            graph.tell(iri, Role.TYPE, self._namespace, "default-namespace")
        obsolete = any(clause.tag == "is_obsolete" and _bare(clause.value) == "true" for clause in clauses)
        instead = next((clause.value for clause in clauses if clause.tag == "replaced_by"), None)
        if obsolete:
            graph.remove(iri, OBSOLETE, self.iri(_first_word(instead)) if instead else None)
            return
        for clause in clauses:
            try:
                self._take(iri, clause)
            except ValueError as error:
                self._problems.add(self._file, clause.line, str(error))

    def _take(self, iri: str, clause: _Clause) -> None:
        """Read a clause of an entity. Raises ValueError with the expected form."""
        graph, tag, value = self.graph, clause.tag, clause.value
        match tag:
            case "name":
                graph.tell(iri, Role.NAME, _unescaped(_bare(value)), tag)
            case "def":
                graph.tell(iri, Role.DESCRIPTION, _quoted(value)[0], tag)
            case "comment":
                graph.tell(iri, Role.DESCRIPTION, _unescaped(_bare(value)), tag, 3)
            case "namespace":
                graph.tell(iri, Role.TYPE, _bare(value), tag)
            case "synonym" | "exact_synonym" | "narrow_synonym" | "broad_synonym" | "related_synonym":
                text, rest = _quoted(value)
                scope = _SYNONYM_TAGS.get(tag) or next(
                    (word for word in rest.split()[:1] if word in SCOPES), "RELATED"
                )
                graph.tell(iri, Role.ALIAS, text, f"{scope.lower()} synonyms", SCOPES[scope])
            case "alt_id" | "xref":
                graph.tell(iri, Role.FURTHER_ID, _first_word(value), tag, 1)
            case "is_a" | "instance_of":
                graph.triple(iri, SUBCLASS, self._target(value), tag)
            case "relationship":
                relation, *target = value.split(maxsplit=1)
                if not target:
                    raise ValueError(f"expected a relation and a term, found {value[:60]!r}")
                self._fact(iri, relation, target[0], tag)
            case "intersection_of":
                relation, *target = _bare(value).split()
                if target:
                    self._fact(iri, relation, target[0], tag)
                else:
                    graph.triple(iri, SUBCLASS, self._target(value), tag)
            case "equivalent_to":
                graph.triple(iri, "http://www.w3.org/2002/07/owl#equivalentClass", self._target(value), tag)
            case "property_value":
                self._property(iri, value)
            case "id" | "is_obsolete" | "replaced_by" | "is_anonymous" | "builtin":
                pass
            case _:
                graph.account.leave("clauses", tag)

    def _fact(self, iri: str, relation: str, target: str, tag: str) -> None:
        known = self._relations.get(relation)
        if known is None:
            known = self._relations[relation] = self.iri(relation)
            self.graph.relation(known, relation.replace("_", " "))
        self.graph.triple(iri, known, self._target(target), f"{tag} {relation}")

    def _property(self, iri: str, value: str) -> None:
        name, *rest = value.split(maxsplit=1)
        if name in _MATCHES and rest:
            text = _quoted(rest[0])[0] if rest[0].startswith('"') else _first_word(rest[0])
            self.graph.tell(iri, Role.FURTHER_ID, text, name, 1)
        else:
            self.graph.account.leave("property values", name)

    def _target(self, value: str) -> str:
        """The IRI of the term in a value."""
        return self.iri(_first_word(value))


def _bare(value: str) -> str:
    """A value without its comment and trailing modifiers."""
    return _COMMENT.sub("", value).strip()


def _first_word(value: str) -> str:
    """The id at the start of a value. Raises ValueError if there is none."""
    words = _bare(value).split(maxsplit=1)
    if not words:
        raise ValueError(f"expected an id, found {value[:60]!r}")
    return _ESCAPE.sub(lambda found: found[1], words[0])


def _quoted(value: str) -> tuple[str, str]:
    """The text in quotation marks, and the rest after it. Raises ValueError if there is none."""
    found = _QUOTED.match(value)
    if found is None:
        raise ValueError(f"expected a text between quotation marks, found {value[:60]!r}")
    return _unescaped(found[1]), value[found.end() :]


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda found: _ESCAPES.get(found[1], found[1]), text)
