"""Linked sentences, drawn with displaCy in the page's colours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kepipe.data.document import Document, Mention, Span
from kepipe.report.markup import Markup, fill, join, shown
from kg.store import Graph

TINTS = 6
LONGEST = 260
TEMPLATE = '<mark class="entity" style="--tint: {bg}">{text}<small>{label}</small></mark>'


@dataclass(frozen=True)
class Passage:
    """A sentence of a document with its mentions."""

    document: Document
    sentence: Span
    mentions: tuple[Mention, ...]


def choose(documents: Iterable[Document], most: int = 6) -> list[Passage]:
    """One sentence per document, the one with the most distinct entities; documents with the most come first."""
    best: list[Passage] = []
    for document in documents:
        passages = [p for p in _passages(document) if len(p.mentions) >= 2]
        if passages:
            best.append(max(passages, key=_richness))
    return sorted(best, key=_richness, reverse=True)[:most]


def draw(passages: Sequence[Passage], graph: Graph) -> Markup:
    """HTML of the sentences; a mention shows its entity's label, if the text has another name, and its type."""
    from spacy import displacy

    types = sorted({_type(graph, mention) for passage in passages for mention in passage.mentions})
    tint = {type: f"var(--tint-{number % TINTS})" for number, type in enumerate(types)}
    drawn = []
    for passage in passages:
        text, start = passage.document.text, passage.sentence.start
        entities, colors = [], {}
        for mention in passage.mentions:
            type, label = _type(graph, mention), graph.labels[graph.row(mention.entity)]
            name = type if label == text[mention.start : mention.end] else f"{label}, {type}"
            written = str(fill("{}", name))  # displaCy escapes the text, but not labels
            colors[written.upper()] = tint[type]
            entities.append({"start": mention.start - start, "end": mention.end - start, "label": written})
        source = {"text": shown(text[start : passage.sentence.end]), "ents": entities, "title": None}
        options = {"colors": colors, "template": TEMPLATE}
        drawn.append(
            displacy.render(source, style="ent", manual=True, page=False, jupyter=False, options=options)
        )
    return join(map(Markup, drawn))


def _passages(document: Document) -> Iterable[Passage]:
    mentions = sorted(document.mentions, key=lambda mention: mention.start)
    for sentence in document.sentences:
        if sentence.end - sentence.start <= LONGEST:
            inside = (m for m in mentions if sentence.start <= m.start and m.end <= sentence.end)
            yield Passage(document, sentence, tuple(inside))


def _richness(passage: Passage) -> tuple[int, int]:
    entities = {mention.entity for mention in passage.mentions}
    return min(len(entities), 5), passage.sentence.start - passage.sentence.end


def _type(graph: Graph, mention: Mention) -> str:
    types = graph.types(graph.row(mention.entity))
    return types[0] if types else "entity"
