"""Facts as pretraining rows: one sentence per row, whose object is masked.

SKILL (Moiseev et al. 2022, "SKILL: Structured Knowledge Infusion for Large Language Models", §3): the object of a
triple is the span that the model has to fill in, as in salient span masking (Guu et al. 2020, "REALM", §3.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kepipe.arrays import Ints
from kepipe.data.batch import ExampleRefs, TokenRows
from kepipe.data.batch_sampler import BatchSampler
from kepipe.data.row_batches import RowShape, RowStream
from kepipe.tokenization.tokenizer import Tokenizer
from kg.store import Graph, Triples
from kg.templates import Statement, Templates

_ORDER, _WORDING = 61, 62
"""Ids of the random streams for facts, independent of those of the text with the same seed."""


@dataclass(frozen=True)
class StatedFacts:
    """Facts with their verbalisation: `triples`, int32 [n, 3], the graph's names, and templates."""

    graph: Graph
    triples: Triples
    templates: Templates

    @classmethod
    def of(cls, graph: Graph, splits: Sequence[str], templates: Templates) -> StatedFacts:
        """The facts of some splits whose entities both have a label. Raises ValueError if there are none."""
        triples = np.concatenate([graph.triples(split) for split in splits])
        named = np.fromiter((bool(label.strip()) for label in graph.labels), np.bool_, len(graph))
        triples = triples[named[triples[:, 0]] & named[triples[:, 2]]]
        if not len(triples):
            raise ValueError(
                f"knowledge: triples-as-text: the graph has no fact in {', '.join(splits)} whose entities have names"
            )
        return cls(graph, triples, templates)

    def state(self, numbers: Ints, wording: Ints) -> list[Statement]:
        """Facts as sentences. `wording`: int [n], selects a template of the relation, modulo their number."""
        labels = self.graph.labels
        return [
            self.templates[relation][which % len(self.templates[relation])].state(labels[head], labels[tail])
            for (head, relation, tail), which in zip(
                self.triples[numbers].tolist(), wording.tolist(), strict=True
            )
        ]

    def lengths(self, tokenizer: Tokenizer) -> Ints:
        """The approximate number of tokens of each fact, int [n]: of its names and of the first template."""
        rows = np.unique(self.triples[:, [0, 2]])
        names = np.zeros(len(self.graph), np.int64)
        names[rows] = tokenizer.encode([self.graph.labels[row] for row in rows.tolist()]).lengths
        frames = tokenizer.encode([templates[0].state("", "").text for templates in self.templates]).lengths
        head, relation, tail = self.triples.T
        lengths: Ints = names[head] + frames[relation] + names[tail] + 2
        return lengths


class FactRows:
    """Batches of facts: each epoch has every fact once, in a new order and with newly drawn templates."""

    def __init__(self, facts: StatedFacts, tokenizer: Tokenizer, shape: RowShape) -> None:
        lengths = facts.lengths(tokenizer)
        fits = np.flatnonzero(lengths <= shape.length)
        if not len(fits):
            raise ValueError(f"knowledge: triples-as-text: no fact fits into rows of {shape.length} tokens")
        self.too_long = len(lengths) - len(fits)
        self._facts, self._tokenizer, self.shape, self._numbers = facts, tokenizer, shape, fits
        self._sampler = BatchSampler(lengths[fits], shape.tokens, _seed(shape.seed, _ORDER))

    @property
    def per_epoch(self) -> int:
        """The number of batches of an epoch."""
        return self._sampler.per_epoch

    def __getitem__(self, n: int) -> TokenRows:
        """See `RowStream`. A row is truncated if a long template makes it exceed the row length."""
        examples = self._sampler.rows(n)
        rng = np.random.default_rng([self.shape.seed, _WORDING, n])
        statements = self._facts.state(self._numbers[examples], rng.integers(1 << 30, size=len(examples)))
        refs = ExampleRefs(examples, self._sampler.epoch(n), self._sampler.seed)
        return _rows(statements, self._tokenizer, self.shape, refs)


def _seed(seed: int, draw: int) -> int:
    return int(np.random.default_rng([seed, draw]).integers(1 << 62))


def _rows(
    statements: Sequence[Statement], tokenizer: Tokenizer, shape: RowShape, refs: ExampleRefs
) -> TokenRows:
    """One row per statement, with its object marked as salient."""
    encoded = tokenizer.encode([statement.text for statement in statements])
    rows, begin = len(statements), int(shape.begin)
    of = np.repeat(np.arange(rows), encoded.lengths)
    place = np.arange(len(of)) - np.repeat(np.cumsum(encoded.lengths) - encoded.lengths, encoded.lengths)
    kept = place < shape.length - begin - 1
    lengths = np.minimum(encoded.lengths, shape.length - begin - 1)
    spans = np.array([statement.object for statement in statements], np.int64).reshape(-1, 2)[of]
    in_object = (encoded.starts < spans[:, 1]) & (encoded.ends > spans[:, 0])
    word = np.append(np.cumsum(encoded.words), 0)
    word = word[:-1] - np.repeat(word[np.cumsum(encoded.lengths) - encoded.lengths], encoded.lengths)

    tokens = np.full((rows, int(lengths.max()) + begin + 1), tokenizer.pad, np.int64)
    at = of[kept], place[kept] + begin
    tokens[at] = encoded.tokens[kept]
    if begin:
        tokens[:, 0] = tokenizer.cls
    tokens[np.arange(rows), lengths + begin] = tokenizer.sep
    text, salient = np.zeros(tokens.shape, np.bool_), np.zeros(tokens.shape, np.bool_)
    text[at], salient[at] = True, in_object[kept]
    words, none = np.full(tokens.shape, -1, np.int64), np.full(tokens.shape, -1, np.int64)
    words[at] = word[kept]
    return TokenRows(
        tokens=tokens,
        segments=np.zeros_like(tokens),
        documents=(np.arange(tokens.shape[1]) < (lengths + begin + 1)[:, None]).astype(np.int64),
        special=~text,
        units={"word": words, "phrase": words, "entity": words},
        entities=none,
        sentences=np.where(text, 0, -1),
        refs=refs,
        salient=salient,
    )


@dataclass(frozen=True)
class MixedRows:
    """Batches of text and facts, interleaved evenly: of the first n batches, ⌊n · share⌋ are facts.

    The text batches keep their order.
    """

    text: RowStream
    facts: FactRows
    share: float

    @property
    def shape(self) -> RowShape:
        """See `RowStream`."""
        return self.text.shape

    @property
    def per_epoch(self) -> float:
        """See `RowStream`."""
        return self.text.per_epoch / (1 - self.share)

    def __getitem__(self, n: int) -> TokenRows:
        """See `RowStream`."""
        facts = int(n * self.share)
        return self.facts[facts] if int((n + 1) * self.share) > facts else self.text[n - facts]
