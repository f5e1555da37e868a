"""Speed of the rankings that read the text, compared with direct implementations of their definitions.

    python -m tests.benchmarks.rankings [FACTS [ROWS]]

A random graph of 20,000 entities with FACTS triples each on average, where a tenth of the entities have ten times as
many, and rows of 256 tokens with a mention every 20. Printed are tokens of text per second from mentions to two
selected triples per mention, on one core with filled caches. Both select the same triples with identical scores.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kepipe.data.batch import MentionSpans
from kepipe.knowledge.choosing import chooser
from kepipe.knowledge.choosing.chooser import Chosen, FactChooser
from kepipe.knowledge.choosing.triple_tokenizer import TripleTokenizer
from kepipe.tokenization.trainers import words_or_bytes_tokenizer
from kg.schema import Entity, Relation, Triple
from kg.store import Graph
from kg.writer import write_graph
from tests.support import rankings

ENTITIES, RELATIONS, WORDS = 20_000, 50, 5_000
LENGTH, EVERY, BRANCHES, BATCHES = 256, 20, 2, 4


def draw_graph(folder: Path, facts: int, rng: np.random.Generator) -> Graph:
    """A random graph whose names are two words, which also occur in the rows."""
    names = [" ".join(f"w{n}" for n in rng.zipf(1.3, 2) % WORDS) for _ in range(ENTITIES)]
    counts = np.where(np.arange(ENTITIES) % 10 == 0, 10, 1) * rng.poisson(facts / 1.9, ENTITIES)
    heads = np.repeat(np.arange(ENTITIES), counts)
    drawn = zip(
        heads.tolist(),
        rng.integers(0, RELATIONS, len(heads)).tolist(),
        rng.integers(0, ENTITIES, len(heads)).tolist(),
        strict=True,
    )
    return write_graph(
        folder,
        [Entity(f"e{n}", name) for n, name in enumerate(names)],
        [Relation(f"r{n}", f"w{n} of") for n in range(RELATIONS)],
        {"train": [Triple(f"e{h}", f"r{r}", f"e{t}") for h, r, t in drawn]},
    )


def draw_rows(rows: int, vocabulary: int, rng: np.random.Generator) -> tuple[Any, ...]:
    """Tokens, lengths, mentions, and the graph's row of each mention."""
    tokens = vocabulary - WORDS + rng.zipf(1.3, (rows, LENGTH)) % WORDS
    first = np.tile(np.arange(0, LENGTH, EVERY), rows)
    row = np.repeat(np.arange(rows), len(range(0, LENGTH, EVERY)))
    entities = np.where(
        rng.random(len(row)) < 0.05, -1, rng.zipf(1.2, len(row)) % ENTITIES
    )  # some are not in the graph
    return tokens, np.full(rows, LENGTH), MentionSpans(row, first, first + 2), entities


def choose_by_sorting(self: FactChooser, context_score: Any, batch: tuple[Any, ...]) -> Chosen:
    """The selection by its definition, with a sort of all candidates."""
    tokens, lengths, mentions, entities = batch
    owners, triples = self.facts.first(entities, chooser.MAX_CANDIDATES)
    scores = context_score(chooser.RankingContext(tokens, lengths, mentions, entities, owners, triples))
    order = np.lexsort((-scores, owners))
    begins = np.searchsorted(owners, owners[order])
    best = order[np.arange(len(order)) - begins < BRANCHES]
    return Chosen(owners[best], self.facts.triples[triples[best]], scores[best])


def main(facts: int = 20, rows: int = 32) -> None:
    """Print a line for each ranking."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    tokenizer = words_or_bytes_tokenizer([f"w{n}" for n in range(WORDS)])
    with tempfile.TemporaryDirectory() as folder:
        graph = draw_graph(Path(folder), facts, rng)
        batches = [draw_rows(rows, tokenizer.vocab_size, rng) for _ in range(BATCHES)]
        branches = TripleTokenizer(graph, tokenizer, True)
        for name in ("similar", "pagerank"):
            fact_chooser = FactChooser(graph, ["train"], name, branches)
            sources = chooser.RankingSources(graph, fact_chooser.facts, branches)
            definition = {"similar": rankings.similarity, "pagerank": rankings.pagerank}[name](sources)
            seconds: list[list[float]] = []
            candidates = 0
            for warm in (False, True):  # the first pass fills the caches
                for batch in batches:
                    times = [time.process_time()]
                    expected = choose_by_sorting(fact_chooser, definition, batch)
                    times.append(time.process_time())
                    chosen = fact_chooser.choose(*batch, BRANCHES)
                    times.append(time.process_time())
                    assert (chosen.triples == expected.triples).all()
                    assert (chosen.mentions == expected.mentions).all()
                    assert (chosen.scores == expected.scores).all()
                    if warm:
                        seconds.append(np.diff(times).tolist())
                        candidates += len(fact_chooser.facts.first(batch[3], chooser.MAX_CANDIDATES)[0])
            definition_seconds, own_seconds = np.median(np.array(seconds), axis=0)
            tokens = rows * LENGTH
            print(
                f"{name:9} {candidates / BATCHES / len(batches[0][3]):.0f} candidates per mention: by definition "
                f"{tokens / definition_seconds / 1e6:.2f} million tokens/s, kepipe {tokens / own_seconds / 1e6:.2f} "
                f"({definition_seconds / own_seconds:.1f} times)"
            )


if __name__ == "__main__":
    main(*(int(number) for number in sys.argv[1:]))
