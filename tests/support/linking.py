"""A graph of places with ambiguous names, texts annotated by rules, and features of candidates."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kepipe.linking.features.describe import FEATURES
from kepipe.linking.kb.dense import DenseView
from kepipe.linking.linker import Linker
from kepipe.linking.text.annotations import Annotations
from kepipe.linking.text.annotators import RuleAnnotator
from kepipe.models.pretrained import locate
from kepipe.tokenization.tokenizer import load_tokenizer
from kg.schema import Entity, Triple
from kg.store import Graph

ENTITIES = [
    Entity("us", "United States", ("USA", "US"), "country", ("country",), 3e8),
    Entity("uk", "United Kingdom", ("UK", "Great Britain"), "country", ("country",), 6e7),
    Entity("ne", "Nebraska", (), "state", ("state",), 2e6),
    Entity("ny", "New York", (), "state", ("state",), 2e7),
    Entity("nyc", "New York City", ("New York",), "city in New York", ("city",), 8e6),
    Entity("omaha", "Omaha", (), "city in Nebraska", ("city",), 5e5),
    Entity("lincoln-ne", "Lincoln", (), "city in Nebraska", ("city",), 3e5),
    Entity("lincoln-uk", "Lincoln", (), "cathedral city in Lincolnshire", ("city",), 1e5),
    Entity("york", "York", (), "city in Yorkshire", ("city",), 2e5),
    Entity("leeds", "Leeds", (), "city in Yorkshire", ("city",), 8e5),
    Entity("reading", "Reading", (), "town in Berkshire", ("city",), 2e5),
    Entity("tokyo", "東京", ("Tokyo",), "city in Japan", ("city",), 1e7),
]
TRIPLES = [
    Triple(head, relation, tail)
    for head, relation, tail in [
        ("ne", "in", "us"), ("ny", "in", "us"), ("nyc", "in", "ny"), ("omaha", "in", "ne"),
        ("lincoln-ne", "in", "ne"), ("lincoln-uk", "in", "uk"), ("york", "in", "uk"), ("leeds", "in", "uk"),
        ("reading", "in", "uk"),
    ]
]  # fmt: skip


def annotate(text: str) -> Annotations:
    """The annotations of a text by the rules."""
    return next(iter(RuleAnnotator().annotate([text])))


def feature(
    linker: Linker, text: str, entity: str, name: str, annotation: Annotations | None = None
) -> float:
    """The value of a feature by name, for the first mention of the text with the entity as a candidate."""
    matches, features, _ = linker.featurize(text, annotation or annotate(text))
    rows = [linker.knowledge.ids[row] for row in matches.rows.tolist()]
    return float(features[rows.index(entity), FEATURES.index(name)])


def random_view(graph: Graph, same: Mapping[str, str]) -> DenseView:
    """A dense view in which the vectors of words are orthogonal, or almost; those of a word and its value in `same` are
    equal."""
    tokenizer = load_tokenizer(locate("minilm"))
    tokens = np.random.default_rng(0).normal(size=(tokenizer.vocab_size, 256)).astype(np.float16)
    for one, other in same.items():
        (first,), (second,) = tokenizer.encode([one]).tokens, tokenizer.encode([other]).tokens
        tokens[first] = tokens[second]
    return DenseView.of(graph, tokenizer, tokens, {"steps": 0})
