"""Components of a pretraining: model, knowledge, rows, batches, evaluator."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from kepipe.arrays import Ints
from kepipe.data.alignment import ENTITY
from kepipe.data.row_batches import RowBatches, RowStream, open_batches
from kepipe.data.shards import Shard, open_shard
from kepipe.data.stream_batches import StreamBatches, as_streams
from kepipe.flow.stage import StageContext
from kepipe.knowledge.base import Knowledge, KnowledgeContext, Sources, apply_after_corruption
from kepipe.knowledge.opening import prepare
from kepipe.knowledge.table import check
from kepipe.models.assemble import with_label_heads
from kepipe.models.base import Base
from kepipe.models.networks.config import NetworkBase
from kepipe.models.protocols import TrainableEncoder
from kepipe.models.transformer import Transformer
from kepipe.objectives import requirements, table
from kepipe.objectives.base import Objective
from kepipe.objectives.batches import HELD_OUT_SEED, CorruptedBatches, held_out_batches
from kepipe.objectives.ernie2.labelled import Text
from kepipe.objectives.teacher import Teacher, learn_from
from kepipe.stages.distilling import folder_of as teacher_folder
from kepipe.stages.distilling import open_teacher
from kepipe.stages.preview import is_trainable
from kepipe.stages.starting import folder_of, folders, load_to_train, resume_or_load, warn_of_unused
from kepipe.tokenization.tokenizer import Tokenizer, load_tokenizer
from kepipe.training.evaluator import HeldOutLoss
from kg.vectors import read_ids

if TYPE_CHECKING:
    from kepipe.stages.pretrain import PretrainConfig, PretrainInputs


TextRows = RowBatches | StreamBatches
"""A shard's rows, shuffled or in streams."""


@dataclass(frozen=True)
class Pretraining:
    """A prepared pretraining. `evaluator`: None without held-out text."""

    model: TrainableEncoder
    knowledge: Knowledge | None
    objective: Objective
    rows: RowStream
    held_out_rows: TextRows | None
    config: PretrainConfig
    context: StageContext
    evaluator: HeldOutLoss | None
    measured: Objective | None
    """The objective on held-out text; None if there is too little text."""

    @property
    def batches(self) -> CorruptedBatches:
        """Micro-batches of the training text."""
        return CorruptedBatches(self.rows.__getitem__, self.objective, self.context.seed)

    @classmethod
    def prepare(cls, inputs: PretrainInputs, config: PretrainConfig, context: StageContext) -> Pretraining:
        """Open all components. Raises ValueError if base, tokenizer, objective, knowledge and format are
        incompatible."""
        tokenizer = load_tokenizer(inputs.shards.folder / "tokenizer")
        ids = read_ids(inputs.shards.folder / "entities.txt")
        train = open_shard(inputs.shards.folder / "train")
        rows = _rows(train, tokenizer, config, context.seed, ids)
        model, knowledge = _model(inputs, config, tokenizer, rows, context)
        teacher = _teacher(inputs, config, tokenizer, context)
        if teacher is None or teacher.apply is None:
            warn_of_unused(inputs.vectors, knowledge, context)
        if knowledge is not None:
            _log_coverage(knowledge, train, ids, context)
        context.dataset(
            "shards/train",
            inputs.shards.digest,
            {"tokens": len(train), "rows": len(rows.examples), "batches_per_epoch": rows.per_epoch},
        )
        objective = _objective(config, tokenizer, knowledge, teacher, rows)
        held_out = open_shard(inputs.shards.folder / "held_out")
        held_out_rows, measured, evaluator = None, None, None
        if len(held_out):
            context.dataset("shards/held_out", inputs.shards.digest, {"tokens": len(held_out)})
            held_out_rows = _rows(held_out, tokenizer, config, HELD_OUT_SEED, ids, parts=1)
            try:
                measured = _objective(config, tokenizer, knowledge, teacher, held_out_rows, evaluation=True)
            except ValueError as reason:  # too little text for rows of its own
                context.warn(f"some metrics are not measured on held-out text: {reason}")
            if measured is not None or table.row_of(config.objective).held_out_objective is not None:
                evaluator = _evaluator(config, tokenizer, knowledge, held_out_rows)
        else:
            context.warn("no text is held out: the held-out loss is not measured")
        stream = rows if knowledge is None else knowledge.rows(rows)
        stream = objective.rows or stream
        return cls(model, knowledge, objective, stream, held_out_rows, config, context, evaluator, measured)

    def held_out_metrics(self) -> dict[str, float]:
        """The objective's own final metrics on held-out text, such as an accuracy.

        They are separate from the held-out loss, which is that of an objective shared by all arms.
        """
        from kepipe.training.distributed import LossModule, make_accelerator, resolve_precision

        criterion = self.objective.criterion
        if not criterion.metrics or self.held_out_rows is None or self.measured is None:
            return {}
        device = self.context.device
        accelerator = make_accelerator(resolve_precision(self.config.precision, device), device)
        batches = held_out_batches(
            self.measured, self.held_out_rows.__getitem__, _held_out_count(self.config, self.held_out_rows)
        )
        loss_module = accelerator.prepare_model(LossModule(self.model), evaluation_mode=True)
        metrics = HeldOutLoss(criterion, batches).evaluate(accelerator, loss_module)
        return {f"final_{name}": value for name, value in metrics.items() if name != "held_out_loss"}


def _rows(
    shard: Shard,
    tokenizer: Tokenizer,
    config: PretrainConfig,
    seed: int,
    ids: list[str],
    parts: int | None = None,
) -> TextRows:
    """The shard's rows in micro-batches. `parts`: number of sets of streams; None: one per micro-batch of an update."""
    rows = open_batches(
        shard,
        tokenizer,
        format=config.format,
        length=config.objective.row_length(config.length),
        tokens=config.batch_tokens // config.accumulate,
        seed=seed,
        begin=table.row_of(config.objective).begin,
        document_mask=config.document_mask,
    )
    rows = replace(rows, entity_ids=ids)
    if not config.streams:
        return rows
    parts = config.accumulate if parts is None else parts
    return as_streams(rows, parts=parts, both_directions=config.objective.both_directions())


def _objective(
    config: PretrainConfig,
    tokenizer: Tokenizer,
    knowledge: Knowledge | None,
    teacher: Teacher | None,
    rows: TextRows,
    *,
    evaluation: bool = False,
) -> Objective:
    """The objective, modified by knowledge and teacher, with its own rows if it has any, made from the shard of
    `rows`."""
    text = Text(rows.shard, tokenizer, rows.shape, evaluation, rows.entity_ids)
    extend = (lambda objective: objective) if knowledge is None else knowledge.objective
    objective = table.build(config.objective, tokenizer, extend, text)
    if teacher is None:
        return objective
    distillation = config.distillation_settings
    return learn_from(
        objective, teacher, distillation.temperature, distillation.weight, distillation.similarities
    )


def _teacher(
    inputs: PretrainInputs, config: PretrainConfig, tokenizer: Tokenizer, context: StageContext
) -> Teacher | None:
    """The model that training learns from, if there is one."""
    folder = teacher_folder(inputs.teacher, config.distillation)
    if folder is None:
        return None
    sources = folders(inputs.graph, inputs.vectors, inputs.neighbours)
    return open_teacher(folder, config.distillation_settings, tokenizer, sources, context)


def _model(
    inputs: PretrainInputs,
    config: PretrainConfig,
    tokenizer: Tokenizer,
    rows: TextRows,
    context: StageContext,
) -> tuple[TrainableEncoder, Knowledge | None]:
    """The model that training starts from, with the heads of its objective, and its knowledge."""
    assert isinstance(config.base, Base | NetworkBase)  # the others are fitted
    base = config.base if inputs.start is None else resume_or_load(inputs.start, inputs.shards, config.base)
    if inputs.embeddings is not None:
        base = base.model_copy(update={"embeddings": str(inputs.embeddings.folder)})
    model = load_to_train(base, tokenizer, context.seed, context.note, _counts(config, tokenizer, rows))
    sources = Sources(tokenizer, model.config, **folders(inputs.graph, inputs.vectors, inputs.neighbours))
    model, knowledge = prepare(
        model, config.knowledge, sources, context.seed, context.note, folder_of(base), to_learn=True
    )
    name = inputs.start.name if inputs.start is not None else config.base.trained or config.base.family
    if not is_trainable(model.config):
        raise ValueError(f"base: no objective can train {name}")
    requirements.check(config.objective, model.config, name, config.rows)
    heads = config.objective.label_heads()
    if heads:
        assert isinstance(model, Transformer), "objectives that predict labels only train a Transformer"
        model = with_label_heads(model, heads, context.seed)
    check(config.knowledge, KnowledgeContext(model.config, config.length, config.objective))
    return model, knowledge


def _counts(config: PretrainConfig, tokenizer: Tokenizer, rows: TextRows) -> Ints:
    """Frequency of each token in the training targets, int [V]: in the text, and for encoder-decoders also the special
    tokens at both ends of each row."""
    counts = rows.shard.counts(tokenizer.vocab_size)
    if table.row_of(config.objective).stack == "encoder-decoder":
        ends = [tokenizer.role(end) for end in ("cls", "sep") if end in tokenizer.named]
        counts[ends] += len(rows.examples)
    return counts


def _log_coverage(knowledge: Knowledge, shard: Shard, ids: list[str], context: StageContext) -> None:
    """Report how many mentions in the training text the knowledge covers."""
    starts = (np.asarray(shard.bounds) & ENTITY) > 0
    mentions = shard.entities[starts & (shard.entities >= 0)]
    coverage = knowledge.coverage(mentions.astype(np.int64), ids)
    if coverage is None:
        return
    if coverage.metrics:
        context.log(coverage.metrics)
    (context.warn if coverage.nothing else context.note)(coverage.message)


def _evaluator(
    config: PretrainConfig, tokenizer: Tokenizer, knowledge: Knowledge | None, rows: TextRows
) -> HeldOutLoss:
    """The evaluator of the held-out loss, with the same text and the same masked tokens for all arms and seeds."""
    settings = table.row_of(config.objective).held_out_objective or config.objective
    objective = table.build(
        settings,
        tokenizer,
        lambda objective: objective if knowledge is None else apply_after_corruption(knowledge, objective),
        Text(rows.shard, tokenizer, rows.shape, evaluation=True, entity_ids=rows.entity_ids),
    )
    batches = held_out_batches(objective, rows.__getitem__, _held_out_count(config, rows))
    return HeldOutLoss(objective.criterion, batches)


def _held_out_count(config: PretrainConfig, rows: TextRows) -> int:
    """Number of batches for `eval_tokens`, at most one epoch."""
    return min(-(-config.eval_tokens * config.accumulate // config.batch_tokens), rows.per_epoch)
