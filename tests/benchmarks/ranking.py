"""Filtered ranks by `kg.ranking` and by PyKEEN: `python -m tests.benchmarks.ranking STORE [--vectors FOLDER]`.

TransE with L2 and the vectors of a folder (an `embed` artifact), or by default with L1 and untrained vectors of
dimension 100. Both rank the same triples of the split "test", all or a random sample, with all splits as filter.
Printed are wall time and processor time, with OMP_NUM_THREADS threads.
"""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pykeen.evaluation import RankBasedEvaluator
from pykeen.models import TransE
from pykeen.triples import CoreTriplesFactory

from kg.arrays import AnyFloats
from kg.ranking import Translation, filtered_ranks, summarise
from kg.store import Graph, Triples, open_graph
from kg.vectors import TABLE, map_table

DIMENSION, BATCH = 100, 256


def rank_by_pykeen(graph: Graph, triples: Triples, model: TransE) -> AnyFloats:
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


def open_model(graph: Graph, folder: Path | None) -> tuple[TransE, Translation]:
    """A model of PyKEEN and one of kepipe with the same vectors."""
    train = torch.from_numpy(graph.triples("train").astype(np.int64))
    factory = CoreTriplesFactory(train, num_entities=len(graph), num_relations=len(graph.relations))
    norm = 2 if folder else 1
    tables = [map_table(folder / TABLE, name) for name in ("entities", "relations")] if folder else []
    dim = tables[0].shape[1] if tables else DIMENSION
    model = TransE(
        triples_factory=factory,
        embedding_dim=dim,
        scoring_fct_norm=norm,
        entity_constrainer=None,
        random_seed=0,
    ).eval()
    representations: list[Any] = [
        entries[0] for entries in (model.entity_representations, model.relation_representations)
    ]
    with torch.inference_mode():
        for representation, table in zip(representations, tables, strict=False):
            representation._embeddings.weight.copy_(torch.from_numpy(np.array(table)))
        entities, relations = (representation(indices=None).numpy() for representation in representations)
    return model, Translation(entities, relations, norm)


def main(store: Path, count: int | None, vectors: Path | None) -> None:
    graph = open_graph(store)
    triples = np.random.default_rng(0).permutation(graph.triples("test"))[:count]
    model, translation = open_model(graph, vectors)
    ranks, clocks, processors = [], [], []
    rankers: list[Callable[[], AnyFloats]] = [
        lambda: filtered_ranks(graph, triples, translation),
        lambda: rank_by_pykeen(graph, triples, model),
    ]
    for rank in rankers:
        clock, processor = time.perf_counter(), time.process_time()
        ranks.append(rank())
        clocks.append(time.perf_counter() - clock)
        processors.append(time.process_time() - processor)
    print(f"{len(triples):,} triples among {len(graph):,} entities, {torch.get_num_threads()} threads")
    for name, clock, processor in zip(("kg.ranking", "PyKEEN"), clocks, processors, strict=True):
        print(f"{name:<11} {clock:7.1f} s wall time, {processor:7.1f} s processor time")
    print(
        f"{clocks[1] / clocks[0]:.1f}x by wall time, {processors[1] / processors[0]:.1f}x by processor time"
    )
    equal = ranks[0] == ranks[1]
    print(f"equal ranks: {equal.mean():.2%}, largest difference {np.abs(ranks[0] - ranks[1]).max():g}")
    print(", ".join(f"MRR {summarise(all_ranks)['mrr']:.6f}" for all_ranks in ranks))


if __name__ == "__main__":
    parser = ArgumentParser()
    parser.add_argument("store", type=Path)
    parser.add_argument("--triples", type=int)
    parser.add_argument("--vectors", type=Path)
    args = parser.parse_args()
    main(args.store, args.triples, args.vectors)
