"""The model that a stage starts from, and the entity vectors that come with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kepipe.models.base import Base

if TYPE_CHECKING:
    from kepipe.finetuning.settings import FinetuneConfig
    from kepipe.flow.stage import StageContext
    from kepipe.knowledge.kbert.settings import Inject
    from kepipe.models.entities import EntityVectors
    from kepipe.stages.artifacts import Graph, Model, Shards, Vectors
    from kepipe.tokenization.tokenizer import Tokenizer


def resume_or_load(start: Model, shards: Shards, base: Base) -> Base:
    """The model of an earlier stage as a base, with the dropout that `base` asks for.

    Raises ValueError where the shards were made with another tokenizer than that model's.
    """
    ours, theirs = (
        (folder / "tokenizer.json").read_bytes() for folder in (shards.folder / "tokenizer", start.folder)
    )
    if ours != theirs:
        raise ValueError(
            f"`{start.name}` was trained with another tokenizer than that of `{shards.name}`: give `{shards.name}` the "
            "tokenizer of the shards that it was trained on, `inputs: {tokenizer: …}`"
        )
    return Base.model_validate({"from": str(start.folder), "dropout": base.dropout})


def choose(start: Model | None, config: FinetuneConfig) -> tuple[Base, Tokenizer]:
    """The base to fine-tune, the model of a stage or that of the settings, and its tokenizer."""
    from kepipe.models.pretrained import locate
    from kepipe.tokenization.tokenizer import load_tokenizer

    dropout = config.dropout if config.train == "all" else 0.0
    if start is not None:
        folder = start.folder
        return Base.model_validate({"from": str(folder), "dropout": dropout}), load_tokenizer(folder)
    assert config.base is not None
    base = config.base.model_copy(update={"dropout": dropout})
    if base.trained is not None:
        return base, load_tokenizer(locate(base.trained))
    assert config.tokenizer is not None
    return base, load_tokenizer(config.tokenizer)


def open_entities(
    vectors: Vectors | None, base: Base, neighbours: Graph | None, context: StageContext
) -> EntityVectors | None:
    """The vectors of the graph's entities: the stage's input, or those in the folder of a base that fuses them.

    With `neighbours`, entities of that graph that have none get one composed from their neighbours, which is told.
    """
    from kepipe.models.entities import EntityVectors, has_vectors
    from kepipe.models.pretrained import locate

    folder = None if vectors is None else vectors.folder
    if folder is None and base.trained is not None and has_vectors(locate(base.trained)):
        folder = locate(base.trained)
    if folder is None:
        return None
    if neighbours is None:
        return EntityVectors.open(folder)
    from kg.store import open_graph

    entities = EntityVectors.open(folder, open_graph(neighbours.folder))
    context.note(f"{entities.composed:,} entities without a vector got one composed from their neighbours")
    return entities


def tell_unused(vectors: Vectors | None, inject: Inject | None, context: StageContext) -> None:
    """Warn of vectors given to a plain model, where no choice of triples looks at them either."""
    if vectors is not None and (inject is None or inject.choice != "plausible"):
        context.warn(
            f"the vectors of `{vectors.name}` are not used: the model is a plain one; `fusion: {{}}` in the base of "
            "`pretrain` makes one that fuses them"
        )
