"""Stage `pretrain`: shards + a base → a model trained to an objective. A control arm changes only the objective."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from kepipe.arrays import Ints
from kepipe.config import ConfigConflict, cache_key_fields
from kepipe.flow.stage import Planned, Stage, StageContext
from kepipe.knowledge.kbert.settings import Inject
from kepipe.models.base import Base, build, fingerprint
from kepipe.objectives import requirements, table
from kepipe.objectives.mlm import MLM
from kepipe.stages import preview
from kepipe.stages.artifacts import Graph, Model, Shards, Vectors
from kepipe.stages.knowledge import add_entity_vectors, inject_triples
from kepipe.stages.start import open_entities, resume_or_load, tell_unused
from kepipe.training.settings import TrainingSettings

if TYPE_CHECKING:
    from kepipe.data.row_batches import RowBatches
    from kepipe.models.entities import EntityVectors
    from kepipe.models.transformer import Transformer
    from kepipe.objectives.base import Objective
    from kepipe.stages.knowledge import ObjectiveWrapper, RowTransform
    from kepipe.tokenization.tokenizer import Tokenizer
    from kepipe.training.evaluator import HeldOutLoss
    from kepipe.training.train_state import TrainState


class PretrainConfig(TrainingSettings):
    """What is trained, on what, and to which end."""

    renamed: ClassVar[Mapping[str, str]] = {"isolate": "document_mask"}

    base: Base = Base()
    """The model that training starts from."""
    objective: table.AnyObjective = MLM()
    """What is learned: a name, or `name:` with settings."""
    format: Literal[
        "segment-pair", "sentence-pair", "full-sentences", "doc-sentences", "packed", "dialogue"
    ] = "doc-sentences"
    """What a row is made of (Liu et al. 2019, §4.2); packed: rows of exactly `length` tokens; dialogue: three turns."""
    length: int = Field(128, ge=8)
    """Longest row in tokens, special tokens included."""
    document_mask: bool = False
    """Hide the documents that share a row from one another."""
    inject: Inject | None = None
    """Which triples of the input `graph` are written into the rows, and how; without that input none are."""


@dataclass(frozen=True)
class PretrainInputs:
    """The text; a model to start from: that of an earlier stage, in place of `base`; the vectors of the graph's
    entities, for a base with `fusion`; a graph whose triples are written into the text; one by which entities that
    have no vector get one, composed from their neighbours."""

    shards: Shards
    start: Model | None = None
    vectors: Vectors | None = None
    graph: Graph | None = None
    neighbours: Graph | None = None


def pretrain(inputs: PretrainInputs, config: PretrainConfig, context: StageContext) -> None:
    """Train and write a model folder. Raises ValueError where base, tokenizer, objective and format do not fit.

    The seed gives the first weights and the order of the text, whatever the objective: arms differ in nothing
    else.
    """
    if config.processes == 1:
        fit(inputs, config, context)
        return
    from kepipe.training import launch

    launch.run(fit, inputs, config, context, config.processes)


def fit(inputs: PretrainInputs, config: PretrainConfig, context: StageContext) -> None:
    """The stage's work in one process; where there are several, the first writes the model folder."""
    from kepipe.models import folder
    from kepipe.tokenization.tokenizer import load_tokenizer
    from kepipe.training.launch import is_main_process
    from kepipe.training.loop import train

    tokenizer = load_tokenizer(inputs.shards.folder / "tokenizer")
    batches = open_split("train", inputs.shards, tokenizer, config, context.seed)
    model, entities = _start(inputs, config, tokenizer, batches, context)
    wrap_objective = inject_triples(inputs, config, tokenizer, model, context)
    objective = wrap_objective(table.build(config.objective, tokenizer))
    transform_rows = add_entity_vectors(inputs.shards, entities, context)
    context.dataset(
        "shards/train",
        inputs.shards.digest,
        {"tokens": len(batches.shard), "rows": len(batches.examples), "batches_per_epoch": batches.per_epoch},
    )
    held_out = open_held_out(inputs.shards, tokenizer, config, context, transform_rows, wrap_objective)
    progress = train(model, objective, lambda n: transform_rows(batches.render(n)), config, context, held_out)
    if not is_main_process():
        return
    epochs = progress.step * config.accumulate / batches.per_epoch
    context.log({"epochs": epochs, "parameters": sum(p.numel() for p in model.parameters())})
    if held_out is not None:
        context.log({"final_held_out_loss": progress.latest, "best_held_out_loss": progress.best})
        if told := evaluate_held_out(
            model, objective, inputs.shards, tokenizer, config, context, transform_rows
        ):
            context.log(told)
    folder.save(
        context.out,
        model,
        tokenizer=inputs.shards.folder / "tokenizer",
        provenance=_provenance(inputs, config, context.seed, progress),
        entities=entities,
    )


def _start(
    inputs: PretrainInputs,
    config: PretrainConfig,
    tokenizer: Tokenizer,
    batches: RowBatches,
    context: StageContext,
) -> tuple[Transformer, EntityVectors | None]:
    """The model that training starts from, fit for its objective; the vectors of the entities that it fuses."""
    special = {"pad": tokenizer.pad, "sep": tokenizer.sep}
    base = config.base if inputs.start is None else resume_or_load(inputs.start, inputs.shards, config.base)
    entities = open_entities(inputs.vectors, base, inputs.neighbours, context)
    counts = _counts(config, tokenizer, batches) if base.trained is None else None
    model = build(base, tokenizer.vocab_size, context.seed, context.note, special, entities, counts)
    display_name = (
        inputs.start.name if inputs.start is not None else config.base.trained or config.base.family
    )
    requirements.check(
        config.objective, model.config, display_name, config.format, config.length, config.document_mask
    )
    if model.config.fusion is None:
        tell_unused(inputs.vectors, config.inject, context)
        return model, None
    return model, entities


def _counts(config: PretrainConfig, tokenizer: Tokenizer, batches: RowBatches) -> Ints:
    """How often each token stands in what is to be learned, int [V]: in the text, and where rows are written out, at
    their beginning and end."""
    counts = batches.shard.counts(tokenizer.vocab_size)
    if table.row_of(config.objective).stack == "encoder-decoder":
        ends = [tokenizer.role(end) for end in ("cls", "sep") if end in tokenizer.named]
        counts[ends] += len(batches.examples)
    return counts


def _provenance(
    inputs: PretrainInputs, config: PretrainConfig, seed: int, progress: TrainState
) -> dict[str, Any]:
    """What made the model, as its folder states it."""
    return {
        "stage": "pretrain",
        "config": cache_key_fields(config),
        "seed": seed,
        **{name: "" if made is None else made.digest for name, made in vars(inputs).items()},
        "steps": progress.step,
        "best_step": progress.best_step,
    }


def open_split(
    split: str, shards: Shards, tokenizer: Tokenizer, config: PretrainConfig, seed: int
) -> RowBatches:
    """Batches of "train" or "held_out", one part of an update each."""
    from kepipe.data.row_batches import open_batches
    from kepipe.data.shards import open_shard

    return open_batches(
        open_shard(shards.folder / split),
        tokenizer,
        format=config.format,
        length=config.length,
        tokens=config.batch_tokens // config.accumulate,
        seed=seed,
        begin=table.row_of(config.objective).begin,
        document_mask=config.document_mask,
    )


def open_held_out(
    shards: Shards,
    tokenizer: Tokenizer,
    config: PretrainConfig,
    context: StageContext,
    transform_rows: RowTransform,
    wrap_objective: ObjectiveWrapper,
) -> HeldOutLoss | None:
    """What the held-out loss is measured on: the same text and the same hidden tokens for all arms and seeds."""
    from kepipe.data.shards import open_shard
    from kepipe.training.evaluator import DRAW, HeldOutLoss

    if not len(open_shard(shards.folder / "held_out")):
        context.warn("no text is held out: the held-out loss is not measured")
        return None
    held_out_objective = table.row_of(config.objective).held_out_objective or config.objective
    batches = open_split("held_out", shards, tokenizer, config, DRAW)
    count = _held_out_batches(config, batches)
    return HeldOutLoss(
        wrap_objective(table.build(held_out_objective, tokenizer)),
        lambda n: transform_rows(batches.render(n)),
        count,
    )


def _held_out_batches(config: PretrainConfig, batches: RowBatches) -> int:
    """How many make up `eval_tokens`; no more than there are."""
    return min(-(-config.eval_tokens * config.accumulate // config.batch_tokens), batches.per_epoch)


def evaluate_held_out(
    model: Transformer,
    objective: Objective,
    shards: Shards,
    tokenizer: Tokenizer,
    config: PretrainConfig,
    context: StageContext,
    transform_rows: RowTransform,
) -> dict[str, float]:
    """What the objective itself says of the held-out text at the end, where it tells more than its loss.

    The held-out loss is that of a yardstick that all arms share; the accuracy with which entities are named is not
    part of it.
    """
    from kepipe.objectives.base import measures
    from kepipe.training.distributed import LossModule, make_accelerator, resolve_precision
    from kepipe.training.evaluator import DRAW, HeldOutLoss

    if not measures(objective):
        return {}
    accelerator = make_accelerator(resolve_precision(config.precision, context.device), context.device)
    batches = open_split("held_out", shards, tokenizer, config, DRAW)
    own = HeldOutLoss(
        objective, lambda n: transform_rows(batches.render(n)), _held_out_batches(config, batches)
    )
    found = own.measure(accelerator, accelerator.prepare_model(LossModule(model), evaluation_mode=True))
    return {f"final_{name}": value for name, value in found.items() if name != "held_out_loss"}


def conflicts(stage: Planned) -> Iterator[ConfigConflict]:
    """What the settings of base, objective, rows, tokenizer and graph exclude of each other."""
    config: PretrainConfig = stage.config
    try:
        model = preview.starting_model(stage)
    except ConfigConflict as conflict:
        model = None
        yield conflict
    if stage.given("graph") is not None:
        room = (config.inject or Inject()).length
        yield from requirements.of_injection(config.objective, model, room, config.length)
    if model is not None:
        yield from requirements.conflicts(
            config.objective,
            model,
            preview.display_name(stage),
            config.format,
            config.length,
            config.document_mask,
        )
    yield from preview.incompatibilities(stage, config.objective, model)


def _fingerprint(config: PretrainConfig) -> Mapping[str, str]:
    return fingerprint(config.base)


PRETRAIN = Stage("pretrain", 6, PretrainInputs, PretrainConfig, Model, pretrain, _fingerprint, conflicts)
