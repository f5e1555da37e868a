"""Annotations of a text that need no graph: sentences, noun phrases, proper nouns, named entities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from kepipe.data.document import Span


class Name(NamedTuple):
    """A named entity and its NER label ("GPE", "PERSON", …)."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class Annotations:
    """Spans of one text, each kind in order and without overlap.

    `proper`: the longest runs of proper nouns, or None where no tagger ran; `names`: named entities, or None
    where no NER ran.
    """

    sentences: tuple[Span, ...]
    phrases: tuple[Span, ...]
    proper: tuple[Span, ...] | None = None
    names: tuple[Name, ...] | None = None


class Annotator(Protocol):
    """Annotates texts; the annotations come in the order of the texts."""

    def annotate(self, texts: Iterable[str]) -> Iterator[Annotations]: ...
