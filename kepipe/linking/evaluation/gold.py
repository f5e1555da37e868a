"""Resolve the entities of gold links to rows of the graph.

A gold link names an id of the graph, or, like a Wikipedia anchor, the title of an article. A title is resolved to

1. the entity with that id; else
2. "Lincoln, Nebraska", "Georgia (U.S. state)": the most probable entity of the name before the comma or bracket that
   fits the rest, which must be a type, words of the description, or a name of a neighbour;
3. "Paris": the most probable entity of that name, if (a) the name is its label (ignoring accents) or the entity is
   prominent (its prior is in the top `PROMINENT` share of the graph), (b) the name is not a common word ("Republic"),
   and (c) the entity is prominent or a neighbour of it is named in the text. Without (c), the philosopher Plato would
   be resolved to a town.

A title that fails the third rule is an entity outside the graph (NIL). If the name is known but the qualifier fits none
of its entities ("Syracuse, Sicily"), the link is UNKNOWN, which counts neither as right nor as wrong. The span of a
link "Lincoln, Nebraska" is trimmed to "Lincoln". A prominent name inside a longer NIL link ("Algiers" in "Bombardment
of Algiers") may well be linked, so it is UNKNOWN too. Titles that differ from all names of the graph become NIL, so
this silver standard is slightly too strict.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

import numpy as np

from kepipe.data.document import Mention
from kepipe.linking.kb.links import NIL, UNKNOWN, Link
from kepipe.linking.text.casing import Casing
from kepipe.linking.text.words import WORD
from kg.lexicon import Lexicon
from kg.store import Graph
from kg.surface import fold

PROMINENT = 0.05
COMMON = 0.5
_CAPITALISED = re.compile(r"[^\W\d_a-z]\w+(?: [^\W\d_a-z]\w+)*")
_QUALIFIED = re.compile(r"(?P<name>[^,(]+?)(?:, (?P<after>[^(]+)| \((?P<inside>[^)]+)\))")


class Titles:
    """Resolves gold links to rows of the graph; `casing` holds the common words."""

    def __init__(self, graph: Graph, lexicon: Lexicon, casing: Casing) -> None:
        self.graph, self.lexicon, self.casing = graph, lexicon, casing
        prior = graph.prior if graph.prior.any() else graph.degrees
        self._prominent = float(np.quantile(prior, 1 - PROMINENT)) if len(graph) else 0.0
        self._prior = prior
        self._names: dict[int, frozenset[str]] = {}

    def resolve(self, gold: Iterable[Mention], text: str) -> list[Link]:
        """The gold links of a text with their rows, sorted, without overlap."""
        words = " ".join(["", *WORD.findall(fold(text)), ""])
        rows: dict[str, int] = {}
        links: list[Link] = []
        for mention in sorted(gold, key=lambda mention: (mention.start, -mention.end)):
            if links and mention.start < links[-1].end:
                continue
            if mention.entity not in rows:
                rows[mention.entity] = self._row(mention.entity, words)
            links += self._pieces(text, Link(mention.start, mention.end, rows[mention.entity]))
        return links

    def _pieces(self, text: str, link: Link) -> list[Link]:
        """The link without the qualifier after its name; a NIL link is split at a prominent name inside it."""
        inside = text[link.start : link.end]
        if link.row >= 0:
            name = inside.partition(", ")[0]
            known = any(row == link.row for row, _ in self.lexicon.candidates(name))
            return [link._replace(end=link.start + len(name)) if known else link]
        if link.row == NIL and len(inside) < 200:
            for capitalised in _CAPITALISED.finditer(inside):
                start, end = link.start + capitalised.start(), link.start + capitalised.end()
                if capitalised[0] != inside and self._is_prominent(capitalised[0]):
                    pieces = [
                        Link(link.start, start, NIL),
                        Link(start, end, UNKNOWN),
                        Link(end, link.end, NIL),
                    ]
                    return [piece for piece in pieces if piece.start < piece.end]
        return [link]

    def _is_prominent(self, name: str) -> bool:
        return any(self._prior[row] >= self._prominent for row, _ in self.lexicon.candidates(name)[:1])

    def _row(self, name: str, words: str) -> int:
        if name in self.graph:
            return self.graph.row(name)
        if qualified := _QUALIFIED.fullmatch(name):
            return self._qualified(qualified["name"], fold(qualified["after"] or qualified["inside"]))
        for row, _ in self.lexicon.candidates(name)[:1]:
            prominent = self._prior[row] >= self._prominent
            named = prominent or _plain(name) == _plain(self.graph.labels[row])
            if named and self.casing.common(name) < COMMON and (prominent or self._supported(row, words)):
                return row
        return NIL

    def _qualified(self, name: str, qualifier: str) -> int:
        candidates = self.lexicon.candidates(name)
        for row, _ in candidates:
            if self._describes(qualifier, row):
                return row
        return UNKNOWN if candidates else NIL

    def _describes(self, qualifier: str, row: int) -> bool:
        if any(qualifier == type or qualifier.endswith(f" {type}") for type in self.graph.types(row)):
            return True
        known = {*WORD.findall(fold(self.graph.descriptions[row])), *self._near(row)}
        return all(part.strip() in known for part in qualifier.split(","))

    def _supported(self, row: int, words: str) -> bool:
        near = (" ".join(WORD.findall(name)) for name in self._near(row))
        return any(name and f" {name} " in words for name in near)

    def _near(self, row: int) -> frozenset[str]:
        """Folded names of the neighbours (of the incoming ones, the first 100)."""
        if row not in self._names:
            tails, heads = self.graph.by_head(row)[:, 2], self.graph.by_tail(row)[:100, 0]
            self._names[row] = frozenset(
                fold(name)
                for near in {*tails.tolist(), *heads.tolist()} - {row}
                for name in (self.graph.labels[near], *self.graph.aliases(near))
                if len(name) > 2
            )
        return self._names[row]


def _plain(name: str) -> str:
    decomposed = unicodedata.normalize("NFKD", fold(name))
    return "".join(char for char in decomposed if not unicodedata.combining(char))
