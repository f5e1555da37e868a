"""Link prediction for entities that came after training: `python -m tests.benchmarks.inductive STORE [SEED]`.

5% of the entities are held out with all their triples; TransE is trained on the rest, then the encoder. Of each
held-out entity's triples half are told, half are asked (both ends, filtered ranks among all entities).
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


def divide(source: Graph, split: InductiveSplit, folder: Path) -> Graph:
    """The same graph with what is told of the new entities as "valid" and what is asked as "test"."""
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
    everything = np.concatenate([source.triples(split) for split in source.splits])
    split = hold_out_entities(everything, np.random.default_rng(seed))
    graph = divide(source, split, folder / "graph")
    print(f"{len(split.rows)} new entities, {len(split.queries)} triples asked")
    begun = time.perf_counter()
    trained = train(graph, Training(epochs=20), folder, seed)
    entities, relations = trained.entities, trained.relations
    print(f"TransE in {time.perf_counter() - begun:.0f} s")
    begun = time.perf_counter()
    settings = InductiveTraining()
    around = Neighbourhood(split.train, len(graph), len(relations))
    encoder = train_encoder(around, entities, relations, settings, seed)
    print(f"encoder in {time.perf_counter() - begun:.0f} s")
    others = np.random.default_rng(seed).integers(0, len(entities), len(split.rows))
    untrained = Encoder.start(relations, settings.bases, seed)
    for name, vectors in {
        "a random entity's": entities[others],
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
