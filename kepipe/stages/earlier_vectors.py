"""The vectors of a graph as it was before, with which those of the graph as it is now begin."""

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
    """The vectors that a model was trained with, by a stage `embed`; None where there are none, or others than the
    settings ask for."""
    made = made_of(start, "vectors", "embed")
    if made is None:
        context.note(f"`{start.name}` brings no vectors that the store has: all are trained")
        return None
    wanted = {"model": config.model, "dim": config.dim, "norm": config.norm}
    others = {name: made.settings.get(name) for name in wanted if made.settings.get(name) != wanted[name]}
    if others:
        told = ", ".join(f"{name} {value}" for name, value in others.items())
        context.warn(f"the vectors of `{start.name}` are of other settings ({told}): all are trained anew")
        return None
    return made


def is_of(made: StageResult, graph: Graph) -> bool:
    """Whether vectors are of this very graph."""
    return dict(made.inputs()).get("graph") == graph.digest


def start_with(
    made: StageResult, graph: StoredGraph, config: EmbedConfig, context: StageContext
) -> WarmStart:
    """The vectors of before, and of a graph of TransE those of new entities, composed of their neighbours'."""
    from kg.inductive import InductiveTraining
    from kg.inductive_start import place_by_neighbours
    from kg.warm_start import start_from

    start = start_from(made.folder, graph, place_new=False)
    known = len(start.entity_rows)
    new, gone = len(graph) - known, made_count(made) - known
    message = f"{known:,} entities keep their vectors, {new:,} are new, {gone:,} are gone"
    counts = {"known_entities": known, "new_entities": new, "gone_entities": gone}
    if new and config.model == TRANSE:
        settings = InductiveTraining(norm=float(config.norm))
        with context.progress("learning from neighbours", settings.steps, "steps") as tick:
            placed = place_by_neighbours(start, graph, context.seed, settings, lambda _step, _loss: tick(1))
        start = placed.start
        left = new - placed.by_known - placed.by_new
        counts["placed_entities"] = placed.by_known + placed.by_new
        message += f": {counts['placed_entities']:,} of the new have a vector from their neighbours at once"
        message += f", {left:,} have no triple that ties them to others" if left else ""
    context.log(counts)
    context.note(message)
    return start


def unseen(triples: Triples, graph: StoredGraph, start: Model, context: StageContext) -> Triples:
    """Held-out triples by which vectors that go on can be scored: not those on which they were trained at any time
    before, when the graph was divided otherwise. None where a graph of before is no longer in the store."""
    from kg.changes import trained_on
    from kg.store import open_graph

    graphs = _graphs_before(start)
    if graphs is None:
        context.warn(
            "a graph that the vectors were trained on is no longer in the store: they are not scored"
        )
        return triples[:0]
    seen = np.zeros(len(triples), bool)
    for before in graphs:
        seen |= trained_on(triples, graph, open_graph(before.folder))
    if seen.any():
        context.note(f"{int(seen.sum()):,} held-out triples were trained on before, and do not count")
    return triples[~seen]


def _graphs_before(start: Model) -> list[StageResult] | None:
    """The graphs on which the vectors of a model were trained, and those with which these began; None where the store
    lacks one."""
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
    """How many entities have a vector."""
    from kg.vectors import open_vectors

    return len(open_vectors(made.folder).matrix)


def untrained(start: WarmStart, graph: StoredGraph, norm: int) -> tuple[list[int], list[int], Trained]:
    """The vectors of a start as they are: rows of the entities and of the relations that have one, ascending, and the
    tables over all, zeros where there is none."""
    from kg.embedding import Trained
    from kg.ranking import Translation

    width = start.entities.shape[1]
    entities = np.zeros((len(graph), width), np.float32)
    relations = np.zeros((len(graph.relations), width), np.float32)
    entities[start.entity_rows] = start.entities
    relations[start.relation_rows] = start.relations
    trained = Trained(entities, relations, Translation(entities, relations, norm))
    return sorted(start.entity_rows.tolist()), sorted(start.relation_rows.tolist()), trained
