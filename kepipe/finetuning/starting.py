"""Set up a model for fine-tuning: the base model with markers, a new head, and knowledge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kepipe.config import ConfigConflict
from kepipe.finetuning import fine_tuned
from kepipe.finetuning.marker_tokens import place_markers
from kepipe.finetuning.mention_finders import Source
from kepipe.finetuning.settings import FinetuneConfig
from kepipe.finetuning.splits import Splits
from kepipe.finetuning.table import TASKS
from kepipe.finetuning.text_output import TextOutput
from kepipe.knowledge.base import KnowledgeContext, Sources
from kepipe.knowledge.opening import prepare
from kepipe.knowledge.table import check
from kepipe.models.any_base import TrainedBase, build
from kepipe.models.base import require_vocabulary
from kepipe.tokenization.tokenizer import Tokenizer

if TYPE_CHECKING:
    from kepipe.models.protocols import EncoderConfig, TrainableEncoder


def start(
    base: TrainedBase,
    tokenizer: Tokenizer,
    config: FinetuneConfig,
    splits: Splits,
    source: Source,
    folders: Mapping[str, Path | None],
    seed: int,
    note: Callable[[str], None],
) -> fine_tuned.FineTunedModel:
    """The model of `base`, set up for the task. `source`: the source of mentions; `folders`: see `Sources`, and
    the linker of a linked text, `linker`.

    Raises ValueError with a remedy if model, data and knowledge do not fit.
    """
    from kepipe.inference.opening import load_encoder
    from kepipe.models.pretrained import locate
    from kepipe.models.protocols import LayerMixture

    folder = None if base.trained is None else locate(base.trained)
    model: TrainableEncoder
    if folder is None:
        model = build(base, tokenizer, seed, note)
    else:
        model = load_encoder(folder, dropout=base.dropout, seed=seed, note=note)
        require_vocabulary(str(base.trained), model.config.vocabulary, tokenizer.vocab_size)
    has_mixture = isinstance(model, LayerMixture)
    if config.mixture is not None:
        model = mixed(model, learned=config.mixture)
    graph, vectors, neighbours = (folders.get(name) for name in ("graph", "vectors", "neighbours"))
    sources = Sources(tokenizer, model.config, graph, vectors, neighbours)
    check(config.knowledge, KnowledgeContext(model.config, config.length))
    model, knowledge = prepare(model, config.knowledge, sources, seed, note, folder)
    for conflict in too_long(config, model.config):
        raise conflict
    task = TASKS[config.task]
    names = task.markers if config.inserts_markers else ()
    placed = {} if folder is None else fine_tuned.placed_markers(folder)
    model, markers = place_markers(model, tokenizer, names, seed, placed)
    writes = isinstance(task.output, TextOutput)
    labels = task.output.labels(splits)
    spec = fine_tuned.TaskSpec(
        config.task,
        labels,
        config.length,
        markers,
        config.pooling == "mean" and task.reads != "words",
        config.language,
        source,
        config.generation if writes else None,
        config.shared_tokens,
        config.decoding,
        bool(config.mixture) and not has_mixture,
    )
    dropout = config.dropout if config.train != "head" else 0.0
    resource = (
        None if task.resource is None else task.resource.make(folders, tokenizer, model, config.language)
    )
    task_model = fine_tuned.with_head(model, spec, tokenizer, resource, dropout=dropout, seed=seed)
    if config.train == "head" and not list(task_model.head.parameters()):
        raise ValueError(f"train: {config.task} has no head that could learn alone; set `train: all`")
    return fine_tuned.FineTunedModel(spec, task_model, tokenizer, knowledge, resource)


def mixed(model: TrainableEncoder, *, learned: bool) -> TrainableEncoder:
    """The model with its learned mixture of layers, or with its last layer alone. A model without a mixture is returned
    unchanged. Raises ValueError if `learned`, and an earlier fine-tuning has removed the mixture."""
    from kepipe.models.protocols import LayerMixture

    if not isinstance(model, LayerMixture):
        return model
    if learned and not model.task_parameters():
        raise ValueError("`mixture`: this model was fine-tuned on its last layer alone: leave it out")
    return model if learned else model.top_layer_alone()


def too_long(config: FinetuneConfig, model: EncoderConfig) -> list[ConfigConflict]:
    """A conflict if rows are longer than the model's number of positions."""
    if 0 < model.positions < config.length:
        room = f"the model has {model.positions} positions: set `length: {model.positions}`"
        return [ConfigConflict("length", f"{config.length} tokens, and {room}")]
    return []
