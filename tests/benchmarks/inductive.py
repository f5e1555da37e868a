"""Link prediction for entities that came after training: `python tests/benchmarks/inductive.py STORE [SEED]`.

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
    InductiveTraining,
    average_neighbours,
    embed_new,
    hold_out_entities,
    train_encoder,
)
from kg.neighbourhood import Neighbourhood
from kg.ranking import Translation, filtered_ranks, summarise
from kg.store import open_graph
from kg.writer import GraphWriter


def main(store: Path, seed: int) -> None:
    source = open_graph(store)
    everything = np.concatenate([source.triples(split) for split in source.splits])
    split = hold_out_entities(everything, np.random.default_rng(seed))
    with tempfile.TemporaryDirectory() as folder:
        writer = GraphWriter(Path(folder) / "graph")
        for row in range(len(source)):
            writer.add_entity(source.entity(row))
        for relation in source.relations:
            writer.add_relation(relation)
        for name, triples in (("train", split.train), ("valid", split.context), ("test", split.queries)):
            writer.add_triples(name, triples)
        graph = writer.finish()
        begun = time.perf_counter()
        trained = train(graph, Training(epochs=20), Path(folder), seed)
        print(f"{len(split.rows)} new entities, {len(split.queries)} triples asked")
        print(f"TransE in {time.perf_counter() - begun:.0f} s")
    entities, relations = trained.entities, trained.relations
    around = Neighbourhood(split.train, len(graph), len(relations))
    settings = InductiveTraining()
    begun = time.perf_counter()
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
        scores = summarise(filtered_ranks(graph, split.queries, Translation(table, relations)))
        print(f"{name:<22} MRR {scores['mrr']:.3f}  Hits@10 {scores['hits@10']:.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
