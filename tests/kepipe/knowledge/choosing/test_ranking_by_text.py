"""Rankings by text give exactly the scores of their definitions, and the best triples come first."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kepipe.data.batch import MentionSpans
from kepipe.knowledge.choosing import shared_words, walks
from kepipe.knowledge.choosing.chooser import best_of
from kepipe.knowledge.choosing.facts import Facts
from kepipe.knowledge.choosing.ranking import MAX_CANDIDATES, RankingContext, RankingSources
from kepipe.knowledge.choosing.triple_tokenizer import TripleTokenizer
from kepipe.tokenization.tokenizer import Tokenizer
from kg.schema import Entity, Relation, Triple
from kg.writer import write_graph
from tests.support import rankings

WAYS = {
    "similar": (shared_words.similarity, rankings.similarity),
    "pagerank": (walks.pagerank, rankings.pagerank),
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> RankingSources:
    """60 entities named by one or two words; the first has 300 triples, one none, one has no neighbours."""
    rng = np.random.default_rng(0)
    names = ["beijing", "asia", "a city", "visits", "china lies", "great wall"]
    entities = [
        Entity(f"e{n}", f"{names[n % 6]} {names[n % 5]}" if n % 2 else names[n % 6]) for n in range(60)
    ]
    heads = [0] * 300 + [n for n in range(1, 58) for _ in range(n % 7)]
    facts = {
        (head, int(relation), int(tail))
        for head, relation, tail in zip(
            heads, rng.integers(0, 6, len(heads)), rng.integers(0, 58, len(heads)), strict=True
        )
    }
    triples = [Triple(f"e{h}", f"r{r}", f"e{t}") for h, r, t in sorted(facts)]
    relations = [Relation(f"r{n}", f"{names[n]} of") for n in range(6)]
    graph = write_graph(tmp_path_factory.mktemp("graph"), entities, relations, {"train": triples})
    return RankingSources(graph, Facts.of(graph, ["train"]), TripleTokenizer(graph, tokenizer, True))


@pytest.mark.parametrize("name", WAYS)
def test_ranking_scores_equal_their_definition(
    name: str, sources: RankingSources, tokenizer: Tokenizer
) -> None:
    """Over several batches: the cache of the first serves the next. Rows without mentions, too, and entities that
    are not in the graph or come twice in a row."""
    score, defined = (way(sources) for way in WAYS[name])
    rng = np.random.default_rng(1)
    seen = set()
    for _ in range(4):
        tokens = rng.integers(0, tokenizer.vocab_size, (5, 12))
        rows = np.sort(rng.choice([0, 1, 3, 4], 14))
        entities = rng.choice([-1, 0, 1, 2, 7, 30, 41, 57, 59], 14)
        owners, triples = sources.facts.first(entities, MAX_CANDIDATES)
        spans = MentionSpans(rows, np.arange(14), np.arange(14) + 1)
        context = RankingContext(tokens, rng.integers(1, 13, 5), spans, entities, owners, triples)
        found = score(context)
        assert found.tolist() == defined(context).tolist()
        seen.update(found.tolist())
    assert len(seen) > 20


@given(
    st.lists(st.integers(0, 6), max_size=40).map(sorted),
    arrays(np.float64, 40, elements=st.sampled_from([0.0, 0.5, 1.0, 2.0])),
    st.integers(0, 5),
)
def test_best_of_each_owner_equals_sorting(owners: list[int], scores_40: np.ndarray, most: int) -> None:
    scores, owners_C = scores_40[: len(owners)], np.array(owners, np.int64)
    order = np.lexsort((-scores, owners_C))
    place = np.arange(len(order)) - np.searchsorted(owners_C, owners_C[order])
    assert best_of(scores, owners_C, most).tolist() == order[place < most].tolist()
