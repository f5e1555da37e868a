"""Stage `names-only-graph`: a control graph in which each entity's only fact is its own name."""

from __future__ import annotations

from dataclasses import dataclass

from kepipe.config import Section
from kepipe.flow.stage import Stage, StageContext
from kepipe.stages.artifacts import Graph


class NamesOnlyGraphConfig(Section):
    """No settings."""


@dataclass(frozen=True)
class NamesOnlyGraphInputs:
    """The graph whose entities are kept and whose facts are removed."""

    graph: Graph


def names_only(inputs: NamesOnlyGraphInputs, _config: NamesOnlyGraphConfig, context: StageContext) -> None:
    """Replace all triples of each entity by one that states its name.

    A model with this graph learns where entities are and what they are called, but no facts.
    """
    from kg.names_only import names_only_graph
    from kg.store import open_graph
    from kg.writer import GraphWriter

    counts = names_only_graph(open_graph(inputs.graph.folder), GraphWriter(context.out))
    context.log(counts)
    context.note(f"{counts['entities']:,} entities with triples keep only their names")


NAMES_ONLY_GRAPH = Stage("names-only-graph", 1, NamesOnlyGraphInputs, NamesOnlyGraphConfig, Graph, names_only)
