"""OWL's class expressions as triples: what a class is told to be by restrictions (OWL 2 Mapping to RDF, section 2).

"Nucleolus is a subclass of (part of some nucleus)" becomes the triple nucleolus – part of → nucleus. Of an
intersection each member counts, also of one that defines a class. What holds of all, of none or of either (`only`,
`not`, `or`) or is counted states no triple.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from kg.sources.vocabularies import OWL, RDF, SUBCLASS

_DEEPEST = 20
"""Expressions within each other that are followed."""
_FILLERS = (f"{OWL}someValuesFrom", f"{OWL}hasValue")


class Expressed(NamedTuple):
    """A triple that an expression states of its class: IRIs."""

    relation: str
    tail: str


class ClassExpressions:
    """The blank nodes of which class expressions are made."""

    def __init__(self) -> None:
        self._parts: dict[str, dict[str, str]] = {}

    def add(self, subject: str, predicate: str, object: str) -> None:
        """Take a statement about a blank node; blank nodes are called as in N-Triples, "_:b1"."""
        self._parts.setdefault(subject, {})[predicate] = object

    def facts(self, node: str, deepest: int = _DEEPEST) -> Iterator[Expressed]:
        """What the expression `node` states of the class that it stands for."""
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
        """The members of a list; one that bites its tail ends there."""
        seen = set()
        while node in self._parts and node not in seen:
            seen.add(node)
            parts = self._parts[node]
            if f"{RDF}first" in parts:
                yield parts[f"{RDF}first"]
            node = parts.get(f"{RDF}rest", "")
