"""What a pretraining is made of: model and knowledge, rows, batches, and what measures them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from kepipe.arrays import Ints
from kepipe.data.alignment import ENTITY
from kepipe.data.row_batches import RowBatches, RowStream, open_batches
from kepipe.data.shards import Shard, open_shard
from kepipe.flow.stage import StageContext
from kepipe.knowledge.base import Knowledge, KnowledgeContext, Sources, apply_after_corruption
from kepipe.knowledge.opening import prepare
from kepipe.knowledge.table import check
from kepipe.models.base import build
from kepipe.models.transformer import Transformer
from kepipe.objectives import requirements, table
from kepipe.objectives.base import Objective
from kepipe.objectives.batches import HELD_OUT_SEED, CorruptedBatches, held_out_batches
from kepipe.stages.starting import folder_of, folders, resume_or_load, warn_of_unused
from kepipe.tokenization.tokenizer import Tokenizer, load_tokenizer
from kepipe.training.evaluator import HeldOutLoss
from kg.vectors import read_ids

if TYPE_CHECKING:
    from kepipe.stages.pretrain import PretrainConfig, PretrainInputs


@dataclass(frozen=True)
class Pretraining:
    """A pretraining that is ready to begin. `evaluator`: None where no text is held out."""

    model: Transformer
    knowledge: Knowledge | None
    objective: Objective
    rows: RowStream
    held_out_rows: RowBatches | None
    config: PretrainConfig
    context: StageContext
    evaluator: HeldOutLoss | None

    @property
    def batches(self) -> CorruptedBatches:
        """Micro-batches of the training text."""
        return CorruptedBatches(self.rows.__getitem__, self.objective.collate, self.context.seed)

    @classmethod
    def prepare(cls, inputs: PretrainInputs, config: PretrainConfig, context: StageContext) -> Pretraining:
        """Open everything. Raises ValueError where base, tokenizer, objective, knowledge and format do not fit."""
        tokenizer = load_tokenizer(inputs.shards.folder / "tokenizer")
        ids = read_ids(inputs.shards.folder / "entities.txt")
        train = open_shard(inputs.shards.folder / "train")
        rows = _rows(train, tokenizer, config, context.seed, ids)
        model, knowledge = _model(inputs, config, tokenizer, rows, context)
        warn_of_unused(inputs.vectors, knowledge, context)
        if knowledge is not None:
            _log_coverage(knowledge, train, ids, context)
        context.dataset(
            "shards/train",
            inputs.shards.digest,
            {"tokens": len(train), "rows": len(rows.examples), "batches_per_epoch": rows.per_epoch},
        )
        objective = table.build(
            config.objective,
            tokenizer,
            (lambda objective: objective) if knowledge is None else knowledge.objective,
        )
        held_out = open_shard(inputs.shards.folder / "held_out")
        held_out_rows, evaluator = None, None
        if len(held_out):
            held_out_rows = _rows(held_out, tokenizer, config, HELD_OUT_SEED, ids)
            evaluator = _evaluator(config, tokenizer, knowledge, held_out_rows)
        else:
            context.warn("no text is held out: the held-out loss is not measured")
        stream = rows if knowledge is None else knowledge.rows(rows)
        return cls(model, knowledge, objective, stream, held_out_rows, config, context, evaluator)

    def held_out_metrics(self) -> dict[str, float]:
        """What the objective itself tells of the held-out text at the end besides its loss, such as an accuracy.

        The held-out loss is that of an objective that all arms share; the accuracy with which entities are named is
        not part of it.
        """
        from kepipe.training.distributed import LossModule, make_accelerator, resolve_precision

        criterion = self.objective.criterion
        if not criterion.metrics or self.held_out_rows is None:
            return {}
        device = self.context.device
        accelerator = make_accelerator(resolve_precision(self.config.precision, device), device)
        batches = held_out_batches(
            self.objective, self.held_out_rows.__getitem__, _held_out_count(self.config, self.held_out_rows)
        )
        loss_module = accelerator.prepare_model(LossModule(self.model), evaluation_mode=True)
        metrics = HeldOutLoss(criterion, batches).evaluate(accelerator, loss_module)
        return {f"final_{name}": value for name, value in metrics.items() if name != "held_out_loss"}


def _rows(
    shard: Shard, tokenizer: Tokenizer, config: PretrainConfig, seed: int, ids: list[str]
) -> RowBatches:
    """The shard's rows, one micro-batch of an update each."""
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
    return replace(rows, entity_ids=ids)


def _model(
    inputs: PretrainInputs,
    config: PretrainConfig,
    tokenizer: Tokenizer,
    rows: RowBatches,
    context: StageContext,
) -> tuple[Transformer, Knowledge | None]:
    """The model that training starts from, fit for its objective, and the knowledge that goes with it."""
    base = config.base if inputs.start is None else resume_or_load(inputs.start, inputs.shards, config.base)
    counts = _counts(config, tokenizer, rows)
    special = {"pad": tokenizer.pad, "sep": tokenizer.sep}
    model = build(base, tokenizer.vocab_size, context.seed, context.note, special, counts)
    sources = Sources(tokenizer, model.config, **folders(inputs.graph, inputs.vectors, inputs.neighbours))
    model, knowledge = prepare(
        model, config.knowledge, sources, context.seed, context.note, folder_of(base), to_learn=True
    )
    name = inputs.start.name if inputs.start is not None else config.base.trained or config.base.family
    requirements.check(config.objective, model.config, name, config.rows)
    check(config.knowledge, KnowledgeContext(model.config, config.length, config.objective))
    return model, knowledge


def _counts(config: PretrainConfig, tokenizer: Tokenizer, rows: RowBatches) -> Ints:
    """How often each token stands in what is to be learned, int [V]: in the text, and where rows are written out, at
    their beginning and end."""
    counts = rows.shard.counts(tokenizer.vocab_size)
    if table.row_of(config.objective).stack == "encoder-decoder":
        ends = [tokenizer.role(end) for end in ("cls", "sep") if end in tokenizer.named]
        counts[ends] += len(rows.examples)
    return counts


def _log_coverage(knowledge: Knowledge, shard: Shard, ids: list[str], context: StageContext) -> None:
    """Tell how many mentions of the training text the knowledge has something to say of."""
    starts = (np.asarray(shard.bounds) & ENTITY) > 0
    mentions = shard.entities[starts & (shard.entities >= 0)]
    coverage = knowledge.coverage(mentions.astype(np.int64), ids)
    if coverage is None:
        return
    if coverage.metrics:
        context.log(coverage.metrics)
    (context.warn if coverage.nothing else context.note)(coverage.message)


def _evaluator(
    config: PretrainConfig, tokenizer: Tokenizer, knowledge: Knowledge | None, rows: RowBatches
) -> HeldOutLoss:
    """What the held-out loss is measured on: the same text and the same hidden tokens for all arms and seeds."""
    settings = table.row_of(config.objective).held_out_objective or config.objective
    objective = table.build(
        settings,
        tokenizer,
        lambda objective: objective if knowledge is None else apply_after_corruption(knowledge, objective),
    )
    batches = held_out_batches(objective, rows.__getitem__, _held_out_count(config, rows))
    return HeldOutLoss(objective.criterion, batches)


def _held_out_count(config: PretrainConfig, rows: RowBatches) -> int:
    """How many batches make up `eval_tokens`; no more than there are."""
    return min(-(-config.eval_tokens * config.accumulate // config.batch_tokens), rows.per_epoch)
