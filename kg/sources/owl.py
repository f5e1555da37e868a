"""Triples from OWL class expressions: what restrictions state about a class (OWL 2 Mapping to RDF, section 2).

"Nucleolus is a subclass of (part of some nucleus)" becomes the triple nucleolus – part of → nucleus. Each member of an
intersection is used, also if the intersection defines a class. Universal restrictions, complements, unions (`only`,
`not`, `or`) and cardinalities give no triples.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from kg.sources.vocabularies import OWL, RDF, SUBCLASS

_DEEPEST = 20
"""Maximum nesting depth of expressions."""
_FILLERS = (f"{OWL}someValuesFrom", f"{OWL}hasValue")


class Expressed(NamedTuple):
    """A triple stated by an expression about its class, as IRIs."""

    relation: str
    tail: str


class ClassExpressions:
    """The blank nodes that make up class expressions."""

    def __init__(self) -> None:
        self._parts: dict[str, dict[str, str]] = {}

    def add(self, subject: str, predicate: str, object: str) -> None:
        """Add a statement about a blank node. Blank nodes are written as in N-Triples, "_:b1"."""
        self._parts.setdefault(subject, {})[predicate] = object

    def facts(self, node: str, deepest: int = _DEEPEST) -> Iterator[Expressed]:
        """The triples that the expression `node` states about its class."""
        parts = self._parts.get(node, {})
        filler = next((parts[name] for name in _FILLERS if name in parts), None)
        property = parts.get(f"{OWL}onProperty", "_:")
        if filler is not None and not filler.startswith("_:") and not property.startswith("_:"):
            yield Expressed(property, filler)
        for member in self._members(parts.get(f"{OWL}intersectionOf", "")):
            if not member.startswith("_:"):
                yield Expressed(SUBCLASS, member)
            elif deepest:
                yield from self.facts(member, deepest - 1)

    def _members(self, node: str) -> Iterator[str]:
        """The members of a list. A circular list ends at the first repetition."""
        seen = set()
        while node in self._parts and node not in seen:
            seen.add(node)
            parts = self._parts[node]
            if f"{RDF}first" in parts:
                yield parts[f"{RDF}first"]
            node = parts.get(f"{RDF}rest", "")
