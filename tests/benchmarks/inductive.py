"""Link prediction for entities that are added after training: `python -m tests.benchmarks.inductive STORE [SEED]`.

5% of the entities are held out with all their triples; TransE is trained on the rest, then the encoder. Half of the
triples of each held-out entity are given, the others are queries (both ends, filtered ranks among all entities).
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from kg.embedding import Training, train
from kg.inductive import (
    Encoder,
    InductiveSplit,
    InductiveTraining,
    average_neighbours,
    embed_new,
    hold_out_entities,
    train_encoder,
)
from kg.neighbourhood import Neighbourhood
from kg.ranking import Translation, filtered_ranks, summarise
from kg.store import Graph, open_graph
from kg.writer import GraphWriter


def split_graph(source: Graph, split: InductiveSplit, folder: Path) -> Graph:
    """The same graph with the given triples of new entities as "valid" and the queries as "test"."""
    writer = GraphWriter(folder)
    for row in range(len(source)):
        writer.add_entity(source.entity(row))
    for relation in source.relations:
        writer.add_relation(relation)
    for name, triples in (("train", split.train), ("valid", split.context), ("test", split.queries)):
        writer.add_triples(name, triples)
    return writer.finish()


def main(store: Path, seed: int, folder: Path) -> None:
    source = open_graph(store)
    all_triples = np.concatenate([source.triples(split) for split in source.splits])
    split = hold_out_entities(all_triples, np.random.default_rng(seed))
    graph = split_graph(source, split, folder / "graph")
    print(f"{len(split.rows)} new entities, {len(split.queries)} queries")
    start = time.perf_counter()
    trained = train(graph, Training(epochs=20), folder, seed)
    entities, relations = trained.entities, trained.relations
    print(f"TransE in {time.perf_counter() - start:.0f} s")
    start = time.perf_counter()
    settings = InductiveTraining()
    neighbourhood = Neighbourhood(split.train, len(graph), len(relations))
    encoder = train_encoder(neighbourhood, entities, relations, settings, seed)
    print(f"encoder in {time.perf_counter() - start:.0f} s")
    random_rows = np.random.default_rng(seed).integers(0, len(entities), len(split.rows))
    untrained = Encoder.start(relations, settings.bases, seed)
    for name, vectors in {
        "a random entity's": entities[random_rows],
        "average of neighbours": average_neighbours(split.context, split.rows, entities, len(relations)),
        "translated average": embed_new(untrained, split.context, split.rows, entities),
        "R-GCN": embed_new(encoder, split.context, split.rows, entities),
    }.items():
        table = entities.copy()
        table[split.rows] = vectors
        scores = summarise(filtered_ranks(graph, split.queries, Translation(table, relations, settings.norm)))
        print(f"{name:<22} MRR {scores['mrr']:.3f}  Hits@10 {scores['hits@10']:.3f}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0, Path(scratch))
