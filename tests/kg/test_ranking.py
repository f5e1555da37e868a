"""Filtered ranks: by hand, and against PyKEEN's evaluator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kg.ranking import Popularity, Translation, filtered_ranks, random_mrr, summarise
from tests.support.graphs import numbered_graph


def test_ranks_by_hand(tmp_path: Path) -> None:
    """Entities on a line at 0 … 4, one relation that moves by 1: e1 → e2 is ranked, e1 → e3 is known."""
    graph = numbered_graph(
        tmp_path, 5, 1, train=np.array([[1, 0, 3], [0, 0, 4]]), test=np.array([[1, 0, 2], [1, 0, 1]])
    )
    line = Translation(np.arange(5, dtype=np.float32)[:, None], np.ones((1, 1), np.float32))
    ranks = filtered_ranks(graph, graph.triples("test"), line)
    # e1 r ?: distances from 2 are 2 1 0 1 2. For e1, e3 and e2 are known: none nearer, none as near.
    # ? r e1: distances from 0 are 0 1 2 3 4: e0 is nearer. ? r e2: distances from 1 are 1 0 1 2 3.
    assert graph.triples("test").tolist() == [[1, 0, 1], [1, 0, 2]]
    assert ranks.tolist() == [[2, 1], [1, 1]]


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_ranks_do_not_depend_on_the_batch_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    rng = np.random.default_rng(0)
    triples = np.unique(rng.integers(0, (12, 3, 12), (60, 3)), axis=0)
    graph = numbered_graph(tmp_path, 12, 3, train=triples[::2], test=triples[1::2])
    scorer = Translation(
        rng.normal(size=(12, 4)).astype(np.float32), rng.normal(size=(3, 4)).astype(np.float32)
    )
    asked = rng.permutation(graph.triples("test"))
    whole = filtered_ranks(graph, asked, scorer)
    monkeypatch.setattr("kg.ranking._BLOCK_VALUES", at_once * 12)
    queries: list[int] = []
    ticks: list[int] = []

    class Noted(Translation):
        def _distance(self, points: Any) -> Any:
            queries.append(len(points))
            return super()._distance(points)

    noted = Noted(scorer.entities, scorer.relations)
    assert (filtered_ranks(graph, asked, noted, ticks.append) == whole).all()
    assert max(queries) == at_once
    assert sum(ticks) == 2 * len(asked)


def test_distance_is_l1_by_default() -> None:
    entities = np.array([[0, 0], [3, 4]], np.float32)
    scorer = Translation(entities, np.zeros((1, 2), np.float32))
    one = np.array([0])
    assert scorer.tails(one, one).tolist() == [[0, 7]]
    assert Translation(entities, scorer.relations, 2.0).tails(one, one).tolist() == [[0, 5]]


def test_ties_count_half(tmp_path: Path) -> None:
    graph = numbered_graph(tmp_path, 5, 1, test=np.array([[0, 0, 1]]))
    nowhere = Translation(np.zeros((5, 2), np.float32), np.zeros((1, 2), np.float32))
    assert filtered_ranks(graph, graph.triples("test"), nowhere).tolist() == [[3, 3]]


def test_popularity_counts_training_only(tmp_path: Path) -> None:
    train = np.array([[0, 0, 4], [1, 0, 4], [2, 0, 3], [0, 1, 2]])
    graph = numbered_graph(tmp_path, 5, 2, train=train, test=np.array([[3, 0, 4], [3, 0, 2]]))
    ranks = filtered_ranks(graph, graph.triples("test"), Popularity(graph))
    # Tails of r0: e4 twice, e3 once; asked for e2 with e4 known, e3 alone is ahead, e0 and e1 are ties.
    assert graph.triples("test").tolist() == [[3, 0, 2], [3, 0, 4]]
    assert ranks[:, 1].tolist() == [3, 1]


@pytest.mark.parametrize("norm", [1, 2])
def test_ranks_agree_with_pykeen(tmp_path: Path, norm: int) -> None:
    import torch
    from pykeen.evaluation import RankBasedEvaluator
    from pykeen.models import TransE
    from pykeen.triples import CoreTriplesFactory

    rng = np.random.default_rng(0)
    facts = np.unique(rng.integers(0, [60, 4, 60], (900, 3)), axis=0).astype(np.int32)
    rng.shuffle(facts)
    graph = numbered_graph(tmp_path, 60, 4, train=facts[:700], valid=facts[700:750], test=facts[750:])
    parts = {split: torch.from_numpy(graph.triples(split).astype(np.int64)) for split in graph.splits}
    factory = CoreTriplesFactory(parts["train"], num_entities=60, num_relations=4)
    model = TransE(triples_factory=factory, embedding_dim=8, scoring_fct_norm=norm, random_seed=0)
    evaluator = RankBasedEvaluator(filtered=True, clear_on_finalize=False)
    evaluator.evaluate(
        model,
        parts["test"],
        additional_filter_triples=[parts["train"], parts["valid"]],
        use_tqdm=False,
        batch_size=32,
    )
    theirs = {side: np.concatenate(evaluator.ranks[side, "realistic"]) for side in ("head", "tail")}
    with torch.inference_mode():
        vectors = [
            piece[0](indices=None).numpy()
            for piece in (model.entity_representations, model.relation_representations)
        ]
    ours = filtered_ranks(graph, graph.triples("test"), Translation(vectors[0], vectors[1], norm))
    np.testing.assert_array_equal(ours[:, 0], theirs["head"])
    np.testing.assert_array_equal(ours[:, 1], theirs["tail"])


def test_summary_by_hand() -> None:
    assert summarise(np.array([[1.0, 2.0], [4.0, 20.0]])) == pytest.approx(
        {"mrr": (1 + 0.5 + 0.25 + 0.05) / 4, "hits@1": 0.25, "hits@3": 0.5, "hits@10": 0.75, "n": 2}
    )
    assert summarise(np.zeros((0, 2))) == {"n": 0}
    assert random_mrr(0) == 0.0
    assert random_mrr(4) == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4)


def test_distances_that_are_not_finite_are_an_error(tmp_path: Path) -> None:
    graph = numbered_graph(tmp_path, 5, 1, test=np.array([[0, 0, 1]]))
    broken = Translation(np.full((5, 2), np.nan, np.float32), np.zeros((1, 2), np.float32))
    with pytest.raises(AssertionError, match="not finite"):
        filtered_ranks(graph, graph.triples("test"), broken)
