"""Initialise entity vectors from those of an earlier version of the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kepipe.flow.lineage import StageResult, by_digest
from kepipe.stages.artifacts import Model
from kepipe.stages.made_of import made_of, workspace_of
from kg.embedding_models import TRANSE

if TYPE_CHECKING:
    from kepipe.flow.stage import StageContext
    from kepipe.stages.artifacts import Graph
    from kepipe.stages.embed import EmbedConfig
    from kg.embedding import Trained
    from kg.store import Graph as StoredGraph
    from kg.store import Triples
    from kg.warm_start import WarmStart


def vectors_of(start: Model, config: EmbedConfig, context: StageContext) -> StageResult | None:
    """The result of the stage `embed` whose vectors a model was trained with; None if there is none, or if its settings
    differ."""
    made = made_of(start, "vectors", "embed")
    if made is None:
        context.note(f"`{start.name}` has no vectors in the store: all vectors are trained from scratch")
        return None
    wanted = {"model": config.model, "dim": config.dim, "norm": config.norm}
    others = {name: made.settings.get(name) for name in wanted if made.settings.get(name) != wanted[name]}
    if others:
        differences = ", ".join(f"{name} {value}" for name, value in others.items())
        context.warn(
            f"the vectors of `{start.name}` have other settings ({differences}): all vectors are trained from scratch"
        )
        return None
    return made


def is_of(made: StageResult, graph: Graph) -> bool:
    """Whether vectors were trained on exactly this graph."""
    return dict(made.inputs()).get("graph") == graph.digest


def start_with(
    made: StageResult, graph: StoredGraph, config: EmbedConfig, context: StageContext
) -> WarmStart:
    """The earlier vectors; with TransE also vectors of new entities, composed from their neighbours'."""
    from kg.inductive import InductiveTraining
    from kg.inductive_start import place_by_neighbours
    from kg.warm_start import start_from

    start = start_from(made.folder, graph, place_new=False)
    known = len(start.entity_rows)
    new, removed = len(graph) - known, made_count(made) - known
    message = f"{known:,} entities keep their vectors, {new:,} are new, {removed:,} were removed"
    counts = {"known_entities": known, "new_entities": new, "gone_entities": removed}
    if new and config.model == TRANSE:
        settings = InductiveTraining(norm=float(config.norm))
        with context.progress("learning to compose from neighbours", settings.steps, "steps") as tick:
            placed = place_by_neighbours(
                start, graph, context.seed, settings, lambda _step, _loss: tick(1), context.device
            )
        start = placed.start
        unconnected = new - placed.by_known - placed.by_new
        counts["placed_entities"] = placed.by_known + placed.by_new
        message += f": {counts['placed_entities']:,} of the new ones get a vector from their neighbours"
        message += f", {unconnected:,} have no triple with another entity" if unconnected else ""
    context.log(counts)
    context.note(message)
    return start


def unseen(triples: Triples, graph: StoredGraph, start: Model, context: StageContext) -> Triples:
    """The held-out triples that the vectors were never trained on, also not in earlier runs with other splits. Empty if
    an earlier graph is no longer in the store."""
    from kg.changes import trained_on
    from kg.store import open_graph

    graphs = _graphs_before(start)
    if graphs is None:
        context.warn(
            "a graph that the vectors were trained on is no longer in the store: the vectors are not scored"
        )
        return triples[:0]
    seen = np.zeros(len(triples), bool)
    for before in graphs:
        seen |= trained_on(triples, graph, open_graph(before.folder))
    if seen.any():
        context.note(
            f"{int(seen.sum()):,} held-out triples were trained on in earlier runs and are not scored"
        )
    return triples[~seen]


def _graphs_before(start: Model) -> list[StageResult] | None:
    """All graphs on which the vectors of a model, and the vectors that they started from, were trained; None if one is
    no longer in the store."""
    store = by_digest(workspace_of(start))
    vectors, graphs, seen = made_of(start, "vectors", "embed"), list[StageResult](), set[str]()
    while vectors is not None and vectors.digest not in seen:
        seen.add(vectors.digest)
        given = dict(vectors.inputs())
        if given["graph"] not in store:
            return None
        graphs.append(store[given["graph"]])
        if "start" not in given:
            return graphs
        if given["start"] not in store:
            return None
        vectors = made_of(Model.open(store[given["start"]].folder), "vectors", "embed")
    return graphs


def made_count(made: StageResult) -> int:
    """Number of entities with a vector."""
    from kg.vectors import open_vectors

    return len(open_vectors(made.folder).matrix)


def untrained(start: WarmStart, graph: StoredGraph, norm: int) -> tuple[list[int], list[int], Trained]:
    """The start vectors without training: sorted rows of the entities and of the relations that have one, and the full
    tables, with zeros for the others."""
    from kg.embedding import Trained
    from kg.ranking import Translation

    width = start.entities.shape[1]
    entities = np.zeros((len(graph), width), np.float32)
    relations = np.zeros((len(graph.relations), width), np.float32)
    entities[start.entity_rows] = start.entities
    relations[start.relation_rows] = start.relations
    trained = Trained(entities, relations, Translation(entities, relations, norm))
    return sorted(start.entity_rows.tolist()), sorted(start.relation_rows.tolist()), trained
