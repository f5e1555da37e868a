"""Contexts of a graph's entities from the graph's own words, to align a dense view on without labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from kepipe.arrays import Ints
from kepipe.linking.kb.dense import WINDOW, neighbour_labels
from kepipe.linking.linker import Linker
from kepipe.linking.text.annotators import make_annotator
from kg.store import Graph

MIN_SCORE = 0.6
"""A mention in a description is used if the linker is at least this confident."""


@dataclass(frozen=True)
class ContextPairs:
    """`texts` [N], each with the entity that it is a context of, `rows` [N], and the likeliest other entity with the
    same name, `rivals` [N]; −1: there is none."""

    texts: list[str]
    rows: Ints
    rivals: Ints


NO_PAIRS = ContextPairs([], np.zeros(0, np.int64), np.zeros(0, np.int64))


def context_pairs(linker: Linker, graph: Graph, language: Literal["en", "zh"] = "en") -> ContextPairs:
    """Descriptions in which a confident mention of another entity stands, and labels beside those of neighbours.

    Mentions are found by the linker, with annotations by rules.
    """
    texts, rows, rivals = list[str](), list[int](), list[int]()
    descriptions = list(graph.descriptions)
    annotations = list(make_annotator(language, None).annotate(descriptions))
    documents = zip(descriptions, [""] * len(descriptions), annotations, strict=True)
    for own, (text, mentions) in enumerate(zip(descriptions, linker.link_all(documents), strict=True)):
        for mention in mentions:
            row = linker.row(mention.entity)
            if mention.score >= MIN_SCORE and row != own:
                texts.append(text[max(0, mention.start - WINDOW) : mention.end + WINDOW])
                rows.append(row)
                rivals.append(_rival(linker, text[mention.start : mention.end], row))
    for row, labels in enumerate(neighbour_labels(graph)):
        if labels:
            texts.append(f"{graph.labels[row]} {', '.join(labels)}")
            rows.append(row)
            rivals.append(_rival(linker, graph.labels[row], row))
    return ContextPairs(texts, np.asarray(rows, np.int64), np.asarray(rivals, np.int64))


def _rival(linker: Linker, name: str, row: int) -> int:
    others = (each.row for each in linker.gazetteer.lexicon.candidates(name) if each.row != row)
    return next(others, -1)
