"""The statements of an RDF file, sorted by their role in a graph."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable
from itertools import count
from typing import Any

from kg.sources.account import Account
from kg.sources.gathered import KINDS, Gathered
from kg.sources.owl import ClassExpressions
from kg.sources.reading import rank_language
from kg.sources.vocabularies import NO_ENTITIES, NO_TYPES, OWL, RDF, SUBCLASS, Role, Use, compact, use_of

_RANKS = 6
"""Number of ranks of predicates within a language."""
_WIKIDATA_DIRECT = "http://www.wikidata.org/prop/direct/"
_MEDIA = "http://commons.wikimedia.org/"
_CLASS_LINKS = {SUBCLASS, f"{OWL}equivalentClass", f"{RDF}type"}


class _Uses(dict[str, tuple[Use, str]]):
    """The use of a predicate and its name in messages, cached."""

    def __missing__(self, iri: str) -> tuple[Use, str]:
        self[iri] = use_of(iri), compact(iri)
        return self[iri]


class Content:
    """The content of a file. Resources are numbered in order of occurrence; blank nodes are written "_:b1"."""

    def __init__(self, languages: tuple[str, ...]) -> None:
        from pyoxigraph import BlankNode, Literal

        self._blank, self._literal = BlankNode, Literal
        self._languages, self._uses = languages, _Uses()
        self.account = Account()
        self.numbers: dict[str, int] = defaultdict(count().__next__)
        self.triples, self.types = array("i"), array("i")
        """Triples are counted as facts later, when it is known which of them are kept."""
        self.texts, self.classes = Gathered(), ClassExpressions()
        self.named = array("i")
        """Resources with a name, a description or a type, once per statement."""
        self.expressions: list[tuple[int, str]] = []
        self.no_entities: set[int] = set()
        self.documents: set[int] = set()
        self.obsolete: set[int] = set()
        self.redirects: dict[int, int] = {}
        self.replaced: dict[int, int] = {}
        self.same: dict[int, list[int]] = {}
        self.about: dict[int, list[int]] = {}
        self.named_by: dict[int, int] = {}
        self.name_nodes: list[tuple[int, int, bool]] = []
        """Owner, node, and whether its name may be the label."""
        self.type_texts: dict[int, list[str]] = {}
        self.priors: dict[int, float] = {}
        self._of_resource: dict[Role, Callable[[int, int], None]] = {
            Role.LABEL_NODE: lambda s, o: self.name_nodes.append((s, o, True)),
            Role.ALIAS_NODE: lambda s, o: self.name_nodes.append((s, o, False)),
            Role.FURTHER_ID: lambda s, o: self.same.setdefault(s, []).append(o),
            Role.REDIRECT: self.redirects.__setitem__,
            Role.REPLACED: self.replaced.__setitem__,
            Role.NAMES_PREDICATE: lambda s, o: self.named_by.__setitem__(o, s),
        }

    def add(self, subject: Any, predicate: Any, object: Any) -> None:
        """Add a statement."""
        use, name = self._uses[predicate.value]
        if type(object) is self._literal:
            self._add_literal(subject, use, name, object)
            return
        blank_subject, blank_object = type(subject) is self._blank, type(object) is self._blank
        if not (blank_object or hasattr(object, "value")) or not (blank_subject or hasattr(subject, "value")):
            self.account.leave("statements about statements")  # RDF-star
        elif use.role is Role.STRUCTURE:
            self.classes.add(_id(subject, blank_subject), predicate.value, _id(object, blank_object))
        elif blank_object and not blank_subject and predicate.value in _CLASS_LINKS:
            self.expressions.append((self.numbers[subject.value], str(object)))
        elif use.role in (Role.LABEL_NODE, Role.ALIAS_NODE):
            self._add_resource(_id(subject, blank_subject), use, name, _id(object, blank_object))
        elif use.role is Role.NO_FACT:
            self.account.leave(use.role.value, name)
        elif blank_subject or blank_object:
            self.account.leave("statements with blank nodes", name)
        elif _is_address(predicate.value, object.value):
            self.account.leave("media and addresses", name)
        elif use.role is Role.TYPE:
            self._add_type(subject.value, name, object.value)
        elif use.role is Role.ABOUT and "/entity/Q" in object.value:
            document = self.numbers[subject.value]
            self.documents.add(document)
            self.about.setdefault(self.numbers[object.value], []).append(document)
        elif use.role in self._of_resource:
            self._add_resource(subject.value, use, name, object.value)
        else:
            numbers = self.numbers
            self.triples.extend((numbers[subject.value], numbers[predicate.value], numbers[object.value]))

    def _add_resource(self, subject: str, use: Use, name: str, object: str) -> None:
        self._of_resource[use.role](self.numbers[subject], self.numbers[object])
        self.account.take(use.role.value, name)

    def _add_type(self, subject: str, name: str, type: str) -> None:
        number = self.numbers[subject]
        if type in NO_ENTITIES:
            self.no_entities.add(number)
            self.account.leave("properties, schemes and other forms", compact(type))
            return
        self.named.append(number)
        if type in NO_TYPES:
            self.account.leave("uninformative types", compact(type))
        else:
            self.types.extend((number, self.numbers[type]))
            self.account.take(Role.TYPE.value, name)

    def _add_literal(self, subject: Any, use: Use, name: str, object: Any) -> None:
        text = " ".join(object.value.split())
        role, is_blank = use.role, type(subject) is self._blank
        if not is_blank and not hasattr(subject, "value"):
            self.account.leave("statements about statements")
        elif role in (Role.NAME, Role.ALIAS, Role.DESCRIPTION):
            self._add_text(_id(subject, is_blank), use, name, object.language or "", text)
        elif is_blank:
            what = Role.NO_FACT.value if role is Role.NO_FACT else "statements with blank nodes"
            self.account.leave(what, name)
        elif not text:
            self.account.leave("literal values", name)
        elif role is Role.FURTHER_ID:
            self.texts.add(self.numbers[subject.value], KINDS[role], use.rank, text)
            self.account.take(role.value, name)
        elif role is Role.TYPE:
            number = self.numbers[subject.value]
            self.type_texts.setdefault(number, []).append(text)
            self.named.append(number)
            self.account.take(role.value, name)
        elif role is Role.OBSOLETE and text.lower() in ("true", "1"):
            self.obsolete.add(self.numbers[subject.value])
        elif role is Role.PRIOR and (prior := _number(text)) is not None:
            self.priors[self.numbers[subject.value]] = prior
            self.account.take(role.value, name)
        else:
            self.account.leave("literal values", name)

    def _add_text(self, subject: str, use: Use, name: str, language: str, text: str) -> None:
        rank = rank_language(language, self._languages)
        if rank is None:
            self.account.leave("texts in other languages", name)
        elif text:
            number = self.numbers[subject]
            self.texts.add(number, KINDS[use.role], min(rank * _RANKS + use.rank, 255), text)
            self.named.append(number)
            self.account.take(use.role.value, name)
        else:
            self.account.leave("literal values", name)


def _is_address(predicate: str, object: str) -> bool:
    """Whether an object is an image or a page, as values of Wikidata's properties may be."""
    return object.startswith(_MEDIA) or (predicate.startswith(_WIKIDATA_DIRECT) and "/entity/" not in object)


def _id(term: Any, is_blank: bool) -> str:
    return str(term) if is_blank else term.value


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None
