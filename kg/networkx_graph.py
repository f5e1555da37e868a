"""Conversion of a graph to networkx, and to GraphML for other programs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kg.characters import NOT_IN_XML
from kg.store import Graph, Triples

if TYPE_CHECKING:
    import networkx as nx


def to_networkx(graph: Graph, triples: Triples | None = None) -> nx.MultiDiGraph[str]:
    """The graph, or the subgraph of `triples`, in networkx: nodes by id with label, aliases, description, types and
    prior, edges with relation and label, and `split` if held out. Lists are JSON strings, as GraphML needs; a whole
    graph lists its `relations`.
    """
    import networkx as nx

    made: nx.MultiDiGraph[str] = nx.MultiDiGraph()
    if triples is None:
        made.graph["relations"] = json.dumps(
            [(each.id, each.label) for each in graph.relations], ensure_ascii=False
        )
        parts = {split: graph.triples(split) for split in graph.splits}
        rows: Iterable[int] = range(len(graph))
    else:
        parts = {"train": triples}
        rows = dict.fromkeys(triples[:, [0, 2]].reshape(-1).tolist())
    for row in rows:
        entity = graph.entity(row)
        data: dict[str, Any] = {"label": entity.label, "prior": entity.prior}
        for name, values in (("aliases", entity.aliases), ("types", entity.types)):
            if values:
                data[name] = json.dumps(values, ensure_ascii=False)
        if entity.description:
            data["description"] = entity.description
        made.add_node(entity.id, **data)
    for split, some in parts.items():
        held_out = {} if split == "train" else {"split": split}
        for head, relation, tail in some.tolist():
            named = graph.relation(relation)
            ends = graph.ids[head], graph.ids[tail]
            made.add_edge(*ends, key=named.id, relation=named.id, label=named.label, **held_out)
    return made


def write_graphml(graph: Graph, file: Path, triples: Triples | None = None) -> None:
    """Write the graph, or the subgraph of `triples`, as GraphML, which `kg.sources.graphml` reads.

    Raises ValueError if a text has invalid characters of XML.
    """
    import networkx as nx

    made = to_networkx(graph, triples)
    for node, data in made.nodes(data=True):
        for text in (node, *data.values()):
            if isinstance(text, str) and NOT_IN_XML.search(text):
                raise ValueError(
                    f"GraphML cannot hold the control character in {text[:60]!r}, of entity {node!r}"
                )
    for relation in graph.relations:
        if NOT_IN_XML.search(relation.id + relation.label):
            raise ValueError(f"GraphML cannot hold the control character in the relation {relation.id!r}")
    nx.write_graphml(made, file, named_key_ids=True)
