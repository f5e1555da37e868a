"""The base that a stage starts from, and its tokenizer: an earlier stage's model, or that in the settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from kepipe.models.base import Base

if TYPE_CHECKING:
    from kepipe.arrays import Ints
    from kepipe.finetuning.settings import FinetuneConfig
    from kepipe.flow.stage import StageContext
    from kepipe.knowledge.base import Knowledge
    from kepipe.models.any_base import TrainedBase
    from kepipe.models.protocols import TrainableEncoder
    from kepipe.stages.artifacts import Graph, Model, Shards, Vectors
    from kepipe.tokenization.tokenizer import Tokenizer


def resume_or_load(start: Model, shards: Shards, base: TrainedBase) -> Base:
    """The model of an earlier stage as a base, with the dropout of `base`.

    Raises ValueError if the shards' tokenizer differs from the model's.
    """
    shards_tokenizer, model_tokenizer = (
        (folder / "tokenizer.json").read_bytes() for folder in (shards.folder / "tokenizer", start.folder)
    )
    if shards_tokenizer != model_tokenizer:
        raise ValueError(
            f"`{start.name}` was trained with another tokenizer than that of `{shards.name}`: give `{shards.name}` the "
            "tokenizer of the shards that it was trained on, `inputs: {tokenizer: …}`"
        )
    return Base.model_validate({"from": str(start.folder), "dropout": base.dropout})


def load_to_train(
    base: TrainedBase,
    tokenizer: Tokenizer,
    seed: int,
    note: Callable[[str], None],
    counts: Ints,
) -> TrainableEncoder:
    """The model of a pretraining's base, newly initialised or trained, of any architecture. `counts`: frequency of each
    token in the training targets, int [V].

    Raises ValueError if a trained model's vocabulary differs from the tokenizer's, or if it cannot be trained further.
    """
    from kepipe.inference.opening import load_encoder
    from kepipe.models import any_base
    from kepipe.models.base import require_vocabulary
    from kepipe.models.pretrained import place_of_other_kind

    place = None if base.trained is None else place_of_other_kind(base.trained)
    if place is None:
        return any_base.build(base, tokenizer, seed, note, counts)
    model = load_encoder(place, dropout=base.dropout, seed=seed, note=note)
    require_vocabulary(str(base.trained), model.config.vocabulary, tokenizer.vocab_size)
    return model


def choose(start: Model | None, config: FinetuneConfig) -> tuple[TrainedBase, Tokenizer]:
    """The base to fine-tune, from a stage or from the settings, and its tokenizer."""
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


def folder_of(base: TrainedBase) -> Path | None:
    """The folder of a trained base, which may contain knowledge; None for a newly initialised one."""
    from kepipe.models.pretrained import locate

    return None if base.trained is None else locate(base.trained)


def folders(graph: Graph | None, vectors: Vectors | None, neighbours: Graph | None) -> dict[str, Path | None]:
    """The inputs from which knowledge is opened (see `kepipe.knowledge.base.Sources`)."""
    inputs = {"graph": graph, "vectors": vectors, "neighbours": neighbours}
    return {name: None if artifact is None else artifact.folder for name, artifact in inputs.items()}


def warn_of_unused(vectors: Vectors | None, knowledge: Knowledge | None, context: StageContext) -> None:
    """Warn about vectors for a model without knowledge."""
    if vectors is not None and knowledge is None:
        from kepipe.knowledge.table import advice

        context.warn(
            f"the vectors of `{vectors.name}` are not used: the model has no knowledge method; {advice('vectors')}"
        )
