"""What a graph brings into a stage's rows: vectors of entities, laid over the text; triples, written into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kepipe.data.batch import TokenRows
    from kepipe.flow.stage import StageContext
    from kepipe.models.entities import EntityVectors
    from kepipe.models.transformer import Transformer
    from kepipe.objectives.base import Objective
    from kepipe.stages.artifacts import Shards
    from kepipe.stages.pretrain import PretrainConfig, PretrainInputs
    from kepipe.tokenization.tokenizer import Tokenizer

    RowTransform = Callable[[TokenRows], TokenRows]
    """What is laid over rows before they are corrupted."""
    ObjectiveWrapper = Callable[[Objective], Objective]
    """What is done to rows after an objective has corrupted them."""

NO_GRAPH = "no triples are written into the texts: `inject` is set, but no graph: `inputs: {graph: graph}`"


def add_entity_vectors(shards: Shards, entities: EntityVectors | None, context: StageContext) -> RowTransform:
    """What lays the entities over the rows of these shards; nothing does where there are none.

    Logs how many mentions of the training text are linked, and how many of these have a vector.
    """
    if entities is None:
        return lambda sequences: sequences
    from kepipe.data.alignment import coverage
    from kepipe.data.shards import open_shard
    from kepipe.models.entities import mention_starts
    from kg.vectors import read_ids

    ids = read_ids(shards.folder / "entities.txt")
    rows_of = entities.rows(ids)
    train = open_shard(shards.folder / "train")
    found = coverage(train.bounds, train.entities, rows_of)
    context.log(found)
    said = (
        f"{found['mentions_with_vector']:,} of {found['mentions']:,} linked mentions have a vector; "
        f"{found['entities_with_vector']:,} of {found['entities']:,} entities"
    )
    if found["mentions_with_vector"]:
        context.note(said)
    else:
        context.warn(
            f"{said}: the model learns nothing of the graph. Are text and vectors of the same graph?"
        )
    return lambda sequences: replace(sequences, links=mention_starts(sequences, rows_of), vectors=entities)


def inject_triples(
    inputs: PretrainInputs,
    config: PretrainConfig,
    tokenizer: Tokenizer,
    model: Transformer,
    context: StageContext,
) -> ObjectiveWrapper:
    """What writes triples of the graph into corrupted rows; leaves objectives as they are where there is no graph.

    Raises ValueError where the objective or the length of rows does not allow it.
    """
    if inputs.graph is None:
        if config.inject is not None:
            context.warn(NO_GRAPH)
        return lambda objective: objective
    from kepipe.knowledge.kbert.opening import open_injector
    from kepipe.knowledge.kbert.settings import Inject
    from kepipe.objectives import requirements
    from kepipe.objectives.injected import Injected
    from kg.vectors import read_ids

    settings = config.inject or Inject()
    for conflict in requirements.of_injection(config.objective, model.config, settings.length, config.length):
        raise conflict
    vectors = None if inputs.vectors is None else inputs.vectors.folder
    injector = open_injector(inputs.graph.folder, tokenizer, settings, model.config, vectors)
    rows_of = injector.map_ids(read_ids(inputs.shards.folder / "entities.txt"))
    known = int((rows_of >= 0).sum())
    said = f"{known:,} of {len(rows_of) - 1:,} entities of the text are in the graph"
    if known:
        context.note(said)
    else:
        context.warn(f"{said}: nothing is injected. Were the texts linked to this graph?")
    return lambda objective: Injected(objective, injector, rows_of)
