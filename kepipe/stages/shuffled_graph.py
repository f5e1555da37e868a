"""Stage `shuffled-graph`: the same entities and relations, with other objects. A control: knowledge that is wrong."""

from __future__ import annotations

from dataclasses import dataclass

from kepipe.config import Section
from kepipe.flow.stage import Stage, StageContext
from kepipe.stages.artifacts import Graph


class ShuffledGraphConfig(Section):
    """Nothing to set: which triple gets whose object comes from the seed."""


@dataclass(frozen=True)
class ShuffledGraphInputs:
    """The graph whose shape stays and whose triples change."""

    graph: Graph


def shuffle(inputs: ShuffledGraphInputs, _config: ShuffledGraphConfig, context: StageContext) -> None:
    """Write the graph with the objects of each relation permuted among its triples, split by split.

    A model that gets it sees as many triples, with the same names and as often, and learns nothing true from them.
    """
    import numpy as np

    from kg.shuffle import shuffle_graph
    from kg.store import open_graph
    from kg.writer import GraphWriter

    graph = open_graph(inputs.graph.folder)
    counts = shuffle_graph(graph, GraphWriter(context.out), np.random.default_rng([context.seed, 0]))
    context.log(counts)
    share = counts["unchanged"] / max(counts["triples"], 1)
    said = f"{counts['unchanged']:,} of {counts['triples']:,} triples are still true ({share:.1%})"
    if share > 0.1:
        context.warn(f"{said}: relations with few different objects leave little to exchange; a weak control")
    else:
        context.note(said)


SHUFFLED_GRAPH = Stage("shuffled-graph", 1, ShuffledGraphInputs, ShuffledGraphConfig, Graph, shuffle)
