"""RDF in any format: N-Triples, N-Quads, Turtle, TriG, N3, RDF/XML, JSON-LD, parsed by pyoxigraph; compressed or not.

`kg.sources.vocabularies` maps the predicates of common vocabularies to parts of a graph: names, descriptions, types,
further ids, redirects, … Every other statement with a resource as its object is a triple, as are the triples of OWL
restrictions (`kg.sources.owl`). Other literals and blank nodes, obsolete terms, properties, documents about an entity,
and media are not represented in the graph; they are counted as skipped.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from kg.arrays import Bools
from kg.problems import Problems
from kg.schema import Entity, Relation
from kg.sources.account import Account
from kg.sources.rdf_content import Content
from kg.sources.rdf_statements import parse_statements
from kg.sources.reading import Choices, Tick
from kg.sources.vocabularies import LABELS, compact, curie, local_name
from kg.writer import GraphWriter

_HOPS = 4
"""Maximum depth of nodes that hold names (MeSH: descriptor, concept, term), and maximum length of a chain of
redirects."""
_DIRECT, _ENTITY = "http://www.wikidata.org/prop/direct/", "http://www.wikidata.org/entity/"


def read_rdf(file: Path, writer: GraphWriter, problems: Problems, tick: Tick, choices: Choices) -> Account:
    """Read `file` into `writer`; an entity's id is its IRI. Uses the option `languages`.

    The label is the first name in the best language, or else the last part of the IRI. An entity is a resource that
    occurs in a triple, or that has a name or a type and is neither a relation nor a type.
    """
    content = Content(choices.languages)
    for statement in parse_statements(file, problems, tick):
        content.add(*statement)
    _Graph(content).write(writer)
    return content.account


class _Graph:
    """Converts the content of a file to a graph."""

    def __init__(self, content: Content) -> None:
        self._content, self._account = content, content.account
        self._stated = len(content.triples) // 3
        """Number of triples that the file states directly; those of class expressions come after them."""
        for subject, node in content.expressions:
            self._express(subject, node)
        self._iris = list(content.numbers)
        content.texts.seal(len(self._iris))
        self._redirect()
        self._no_entity = self._excluded()
        self._triples = np.frombuffer(content.triples, np.int32).reshape(-1, 3).copy()
        self._sort_out_triples()
        types = np.frombuffer(content.types, np.int32).reshape(-1, 2)
        self._types = types[np.argsort(types[:, 0], kind="stable")]
        self._type_starts = np.searchsorted(self._types[:, 0], np.arange(len(self._iris) + 1))
        self._names_of_nodes()

    def _express(self, subject: int, node: str) -> None:
        content, found = self._content, list(self._content.classes.facts(node))
        for relation, tail in found:
            content.triples.extend((subject, content.numbers[relation], content.numbers[tail]))
        if not found:
            self._account.leave("class expressions that state no triple (only, or, not, a number)")

    def _redirect(self) -> None:
        """The target of each resource: itself, or the resource that it redirects to or is replaced by."""
        moved = np.arange(len(self._iris), dtype=np.int32)
        for pairs in (self._content.redirects, self._content.replaced):
            for start, end in pairs.items():
                moved[start] = end
        for _ in range(_HOPS):
            moved = moved[moved]
        self._moved = moved

    def _excluded(self) -> Bools:
        """Which resources are not entities: properties, documents, nodes of names, obsolete terms, blank nodes, …"""
        content = self._content
        excluded = np.zeros(len(self._iris), bool)
        groups = (
            content.no_entities,
            content.documents,
            content.obsolete,
            content.redirects,
            content.replaced,
        )
        for group in groups:
            excluded[list(group)] = True
        excluded[[node for _, node, _ in content.name_nodes]] = True
        excluded[[number for number, iri in enumerate(self._iris) if iri.startswith("_:")]] = True
        self._account.leave("obsolete terms", count=len(content.obsolete | content.replaced.keys()))
        self._account.leave("documents about an entity", count=len(content.documents))
        return excluded

    def _sort_out_triples(self) -> None:
        """Remove the triples of resources that are not entities, and resolve redirects."""
        ends = self._triples[:, [0, 2]] = self._moved[self._triples[:, [0, 2]]]
        kept = ~self._no_entity[ends].any(axis=1)
        expressed = np.arange(len(self._triples)) >= self._stated
        what = "statements of properties, documents, names and obsolete terms"
        for of_kind, addition in ((~expressed, ""), (expressed, " in class expressions")):
            for relation, count in Counter(self._triples[kept & of_kind, 1].tolist()).items():
                self._account.take("facts", compact(self._iris[relation]) + addition, count)
            for relation, count in Counter(self._triples[~kept & of_kind, 1].tolist()).items():
                self._account.leave(what, compact(self._iris[relation]) + addition, count)
        self._triples = self._triples[kept]

    def _names_of_nodes(self) -> None:
        content = self._content
        self._nodes: dict[int, list[tuple[int, bool]]] = {}
        for owner, node, is_label in content.name_nodes:
            self._nodes.setdefault(owner, []).append((node, is_label))
        self._others: dict[int, list[int]] = {}
        for start in (*content.redirects, *content.replaced):
            self._others.setdefault(int(self._moved[start]), []).append(start)

    def write(self, writer: GraphWriter) -> None:
        """Write entities, relations and triples to the writer."""
        total, triples = len(self._iris), self._triples
        named, in_triple, is_relation, is_type = (np.zeros(total, bool) for _ in range(4))
        named[np.frombuffer(self._content.named, np.int32)] = True
        in_triple[triples[:, 0]] = in_triple[triples[:, 2]] = True
        is_relation[triples[:, 1]] = is_type[self._types[:, 1]] = True
        is_entity = (in_triple | (named & ~is_relation & ~is_type)) & ~self._no_entity
        self._same_as(is_entity)
        rows, relation_rows = np.full(total, -1, np.int32), np.full(total, -1, np.int32)
        type_names = self._type_names(is_type)
        for number, iri in enumerate(self._iris):
            if is_relation[number]:
                relation_rows[number] = writer.add_relation(Relation(iri, self._relation_label(number)))
            if not is_entity[number]:
                continue
            of_entity = self._types[self._type_starts[number] : self._type_starts[number + 1], 1].tolist()
            types = dict.fromkeys(type_names[kind] for kind in of_entity)
            types |= dict.fromkeys(self._content.type_texts.get(number, ()))
            label, *aliases = self._names(number)
            entity = Entity(
                iri, label, tuple(aliases), self._description(number), tuple(types), self._prior(number)
            )
            rows[number] = writer.add_entity(entity)
            writer.add_further_ids(int(rows[number]), self._further_ids(number))
        coded = np.stack([rows[triples[:, 0]], relation_rows[triples[:, 1]], rows[triples[:, 2]]], axis=1)
        writer.add_triples("train", coded)
        self._account.take("entities", count=int(is_entity.sum()))

    def _same_as(self, is_entity: Bools) -> None:
        """A resource with no other statement than `same as` an entity becomes a further id of that entity."""
        for start, ends in self._content.same.items():
            if not is_entity[start]:
                for end in ends:
                    self._others.setdefault(end, []).append(start)

    def _further_ids(self, number: int) -> list[str]:
        iri, content = self._iris[number], self._content
        ids = [text for kind, _, text in content.texts.of(number) if kind == "i"]
        ids += (self._iris[other] for other in (*content.same.get(number, ()), *self._others.get(number, ())))
        ids += (short for id in (iri, *ids) if (short := curie(id)))
        return [id for id in dict.fromkeys(ids) if id != iri]

    def _prior(self, number: int) -> float:
        content = self._content
        stated = [content.priors[n] for n in (number, *content.about.get(number, ())) if n in content.priors]
        articles = sum(n not in content.no_entities for n in content.about.get(number, ()))
        return max(stated, default=float(articles))

    def _description(self, number: int) -> str:
        return next((text for kind, text in self._texts(number) if kind == "d"), "")

    def _texts(self, number: int, hops: int = _HOPS) -> list[tuple[str, str]]:
        """Kinds ("l" label, "a" alias, "d" description) and texts of a resource: its own, best first, then those of its
        name nodes."""
        texts = [(kind, text) for kind, _, text in self._content.texts.of(number)]
        if hops:
            for node, is_label in self._nodes.get(number, ()):
                named = self._texts(node, hops - 1)
                texts += [("a" if kind == "l" and not is_label else kind, text) for kind, text in named]
        return texts

    def _names(self, number: int) -> list[str]:
        """The label and then the aliases, without duplicates: names before aliases, the best language first."""
        texts = self._texts(number)
        labels = [text for kind, text in texts if kind == "l"] or [local_name(self._iris[number])]
        aliases = [text for kind, text in texts if kind == "a"]
        for other in self._others.get(number, ()):
            if other in self._content.redirects:
                own = [text for kind, text in self._texts(other) if kind != "d"]
                aliases += own or [local_name(self._iris[other])]
        return list(dict.fromkeys([*labels, *aliases]))

    def _relation_label(self, number: int) -> str:
        """The label of a relation: its own name, that of its property, or the last part of its IRI."""
        iri = self._iris[number]
        named_by = self._content.named_by.get(number)
        if named_by is None and iri.startswith(_DIRECT):
            named_by = self._content.numbers.get(_ENTITY + iri.removeprefix(_DIRECT))
        for one in (number, named_by):
            label = (
                next((text for kind, text in self._texts(one) if kind == "l"), None)
                if one is not None
                else None
            )
            if label:
                return label
        return LABELS.get(iri) or local_name(iri)

    def _type_names(self, is_type: Bools) -> dict[int, str]:
        """The names of types: their label, with the IRI appended if two types have the same label."""
        names = {number: self._names(number)[0] for number in np.flatnonzero(is_type).tolist()}
        uses = Counter(names.values())
        return {n: name if uses[name] == 1 else f"{name} ({self._iris[n]})" for n, name in names.items()}
