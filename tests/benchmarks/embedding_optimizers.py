"""Adam for all vectors of a graph compared with sparse Adam, which updates those of the batch: time of a step, MRR.

    KEPIPE_DATA=/path/to/data python -m tests.benchmarks.embedding_optimizers [--entities 20000 1000000]

Steps of TransE, dimension 100, 1,024 triples and 512 negatives, on graphs of random triples: processor time of a
step with one thread, the median of five after the first. The last column is the test MRR on CoDEx-S with the defaults
of the stage `embed`.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from kepipe.stages.embed import EmbedConfig
from kg.embedding import Training, train
from kg.embedding_optimizers import OptimizerName
from kg.problems import Problems
from kg.ranking import filtered_ranks, summarise
from kg.sources.reading import Choices
from kg.sources.table import FORMATS, read_source
from kg.writer import GraphWriter
from tests.support.graphs import numbered_graph

NAMES: tuple[OptimizerName, ...] = ("adam", "sparse-adam")
STEPS = 6


def step_seconds(entities: int, optimizer: OptimizerName, folder: Path) -> float:
    """The graph has 1,024 triples, so that an epoch is one step."""
    rng = np.random.default_rng(0)
    facts = np.stack([rng.integers(0, entities, 1024), np.zeros(1024), rng.integers(0, entities, 1024)], 1)
    graph = numbered_graph(folder / "graph", entities, 1, train=facts.astype(np.int32))
    times = [time.process_time()]
    settings = Training(dim=100, epochs=STEPS, batch=1024, optimizer=optimizer, validate_every=0)
    train(graph, settings, folder, 0, on_epoch=lambda _epoch, _figures: times.append(time.process_time()))
    return float(np.median(np.diff(times)[1:]))


def test_mrr(optimizer: OptimizerName, data: Path, folder: Path) -> float:
    """The MRR of the test triples of CoDEx-S."""
    writer = GraphWriter(folder / "graph")
    read_source(FORMATS["native"], data / "kg/codex-s", writer, Problems(), lambda _: None, Choices())
    graph = writer.finish()
    trained = train(graph, EmbedConfig(optimizer=optimizer).training(again=False), folder, seed=0)
    return float(summarise(filtered_ranks(graph, graph.triples("test"), trained.scorer))["mrr"])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entities", type=int, nargs="+", default=[20_000, 1_000_000])
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'':12}" + "".join(f"{n:>12,} entities" for n in args.entities) + f"{'CoDEx-S, MRR':>16}")
    for name in NAMES:
        columns = []
        for entities in args.entities:
            with tempfile.TemporaryDirectory() as folder:
                columns.append(f"{1000 * step_seconds(entities, name, Path(folder)):18,.1f} ms")
        with tempfile.TemporaryDirectory() as folder:
            columns.append(f"{test_mrr(name, Path(os.environ['KEPIPE_DATA']), Path(folder)):16.3f}")
        print(f"{name:12}" + "".join(columns), flush=True)


if __name__ == "__main__":
    main()
