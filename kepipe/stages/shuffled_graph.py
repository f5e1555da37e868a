"""Stage `shuffled-graph`: a control graph with the same entities and relations, but wrong objects."""

from __future__ import annotations

from dataclasses import dataclass

from kepipe.config import Section
from kepipe.flow.stage import Stage, StageContext
from kepipe.stages.artifacts import Graph


class ShuffledGraphConfig(Section):
    """No settings; the permutation depends on the seed."""


@dataclass(frozen=True)
class ShuffledGraphInputs:
    """The graph to shuffle."""

    graph: Graph


def shuffle(inputs: ShuffledGraphInputs, _config: ShuffledGraphConfig, context: StageContext) -> None:
    """Write the graph with the objects of each relation permuted among its triples, split by split.

    A model with this graph sees the same number of triples and the same names with the same frequencies, but false
    facts.
    """
    import numpy as np

    from kg.shuffle import shuffle_graph
    from kg.store import open_graph
    from kg.writer import GraphWriter

    graph = open_graph(inputs.graph.folder)
    counts = shuffle_graph(graph, GraphWriter(context.out), np.random.default_rng([context.seed, 0]))
    context.log(counts)
    share = counts["unchanged"] / max(counts["triples"], 1)
    message = f"{counts['unchanged']:,} of {counts['triples']:,} triples are still true ({share:.1%})"
    if share > 0.1:
        context.warn(f"{message}: a weak control, since relations with few distinct objects hardly change")
    else:
        context.note(message)


SHUFFLED_GRAPH = Stage("shuffled-graph", 1, ShuffledGraphInputs, ShuffledGraphConfig, Graph, shuffle)
