"""Filtered ranks, here and by PyKEEN's evaluator: `python tests/benchmarks/ranking.py STORE [TRIPLES]`.

TransE with L1 and dimension 100, untrained, as the vectors do not matter to the time. Both rank the same triples of the
split "test", drawn at random (all of them unless told a number), with all splits as filter; times are of the processor
and on the clock, of as many threads as OMP_NUM_THREADS says.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from pykeen.evaluation import RankBasedEvaluator
from pykeen.models import TransE
from pykeen.triples import CoreTriplesFactory

from kg.ranking import Floats, Translation, filtered_ranks
from kg.store import Graph, Triples, open_graph

DIMENSION, BATCH = 100, 256


def rank_by_pykeen(graph: Graph, triples: Triples, model: TransE) -> Floats:
    evaluator = RankBasedEvaluator(filtered=True, clear_on_finalize=False)
    others = [torch.from_numpy(graph.triples(split).astype(np.int64)) for split in graph.splits]
    evaluator.evaluate(
        model,
        torch.from_numpy(triples.astype(np.int64)),
        additional_filter_triples=others,
        batch_size=BATCH,
        use_tqdm=False,
    )
    sides = (np.concatenate(evaluator.ranks[side, "realistic"]) for side in ("head", "tail"))
    return np.stack(list(sides), axis=1)


def main(store: Path, count: int | None) -> None:
    graph = open_graph(store)
    triples = graph.triples("test")
    triples = np.random.default_rng(0).permutation(triples)[:count]
    train = torch.from_numpy(graph.triples("train").astype(np.int64))
    factory = CoreTriplesFactory(train, num_entities=len(graph), num_relations=len(graph.relations))
    model = TransE(triples_factory=factory, embedding_dim=DIMENSION, scoring_fct_norm=1, random_seed=0).eval()
    with torch.inference_mode():
        tables = [
            pieces[0](indices=None).numpy()
            for pieces in (model.entity_representations, model.relation_representations)
        ]
    ranks, clocks, processors = [], [], []
    ways: list[Callable[[], Floats]] = [
        lambda: filtered_ranks(graph, triples, Translation(*tables)),
        lambda: rank_by_pykeen(graph, triples, model),
    ]
    for rank in ways:
        clock, processor = time.perf_counter(), time.process_time()
        ranks.append(rank())
        clocks.append(time.perf_counter() - clock)
        processors.append(time.process_time() - processor)
    print(f"{len(triples):,} triples among {len(graph):,} entities, {torch.get_num_threads()} threads")
    for name, clock, processor in zip(("kg.ranking", "PyKEEN"), clocks, processors, strict=True):
        print(f"{name:<11} {clock:7.1f} s on the clock, {processor:7.1f} s of the processor")
    print(f"{clocks[1] / clocks[0]:.1f}x by the clock, {processors[1] / processors[0]:.1f}x by the processor")
    same = ranks[0] == ranks[1]
    print(f"equal ranks: {same.mean():.2%}, largest difference {np.abs(ranks[0] - ranks[1]).max():g}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None)
