"""Stage `names-only-graph`: a graph in which each entity has its own name for its only fact. A control: no facts."""

from __future__ import annotations

from dataclasses import dataclass

from kepipe.config import Section
from kepipe.flow.stage import Stage, StageContext
from kepipe.stages.artifacts import Graph


class NamesOnlyGraphConfig(Section):
    """Nothing to set."""


@dataclass(frozen=True)
class NamesOnlyGraphInputs:
    """The graph whose entities stay and whose facts go."""

    graph: Graph


def names_only(inputs: NamesOnlyGraphInputs, _config: NamesOnlyGraphConfig, context: StageContext) -> None:
    """Write the graph with one triple in place of all those of an entity, which says its own name.

    A model that gets it is told where entities are and what they are called, and nothing that it could know of them.
    """
    from kg.names_only import names_only_graph
    from kg.store import open_graph
    from kg.writer import GraphWriter

    counts = names_only_graph(open_graph(inputs.graph.folder), GraphWriter(context.out))
    context.log(counts)
    context.note(f"{counts['entities']:,} entities that were the subject of a triple are told by name alone")


NAMES_ONLY_GRAPH = Stage("names-only-graph", 1, NamesOnlyGraphInputs, NamesOnlyGraphConfig, Graph, names_only)
