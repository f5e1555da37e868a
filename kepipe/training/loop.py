"""The training loop.

Everything random in it is a function of the seed and of the number of a batch, so that to continue means to
load the weights, the optimiser's memory and one integer.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from kepipe.device import freed_memory_kept
from kepipe.flow.stage import StageContext
from kepipe.objectives.base import Objective, measures
from kepipe.training.distributed import make_accelerator, parallelize, resolve_precision
from kepipe.training.divergence import diverged
from kepipe.training.evaluator import Evaluator
from kepipe.training.lr_schedule import learning_rate
from kepipe.training.metrics import MetricAccumulator, NotFinite
from kepipe.training.microbatches import MicroBatch, MicrobatchLoader, RowSource
from kepipe.training.optimizer import set_rate
from kepipe.training.settings import TrainingSettings
from kepipe.training.state_dict import restore_weights, weights, whole
from kepipe.training.throughput import Throughput
from kepipe.training.train_state import CheckpointManager, TrainState

if TYPE_CHECKING:
    from kepipe.models.transformer import Transformer


def train(
    model: Transformer,
    objective: Objective,
    render: RowSource,
    settings: TrainingSettings,
    context: StageContext,
    held_out: Evaluator | None = None,
) -> TrainState:
    """Train `model` in place, continuing from the newest whole checkpoint in `context.scratch`.

    Logs loss, held_out_loss, learning_rate, gradient_norm and the speed. Raises ValueError where the settings
    do not fit the machine, Diverged (a ValueError) where the loss stops being a number, OSError where a
    checkpoint cannot be written.
    """
    accelerator = make_accelerator(resolve_precision(settings.precision, context.device), context.device)
    loader = MicrobatchLoader(
        objective, render, settings, context.seed, accelerator.process_index, accelerator.num_processes
    )
    throughput = Throughput.measure(accelerator, model, loader)
    inner, trained, optimizer = parallelize(accelerator, model, settings, context.scratch)
    if settings.blocks:
        inner.use_blocks()
    checkpoints = CheckpointManager(accelerator, inner, optimizer, settings, context)
    now = checkpoints.restore()
    if held_out and now.step == 0:
        context.log(held_out.measure(accelerator, trained), step=0)
    accumulator = MetricAccumulator(objective.terms, measures(objective))
    with (
        freed_memory_kept(accelerator.device.type),
        closing(loader.updates(now.step)) as updates,
        context.progress("training", settings.steps, "steps", now.step) as tick,
    ):
        while not now.finished(settings):
            parts = accumulator.wait(updates)
            rate = learning_rate(now.step, settings)
            set_rate(optimizer, rate)
            sums, norm = update(accelerator, trained, optimizer, objective, parts, settings.clip)
            accumulator.add(now.step, sums, parts, norm)
            now.step += 1
            tick(1)
            due = settings.actions_at(now.step)
            if not due:
                continue
            try:
                measured = accumulator.means(accelerator) | throughput.of(
                    accumulator, accelerator.num_processes
                )
            except NotFinite as reason:
                raise diverged(reason, loader.update(reason.step), context.scratch, rate) from None
            worth_keeping = False
            if held_out and "measure" in due:
                measured |= held_out.measure(accelerator, trained)
                worth_keeping = now.judge(measured[held_out.selection_metric], settings.keeps_best())
            context.log(measured | {"learning_rate": rate}, step=now.step)
            if "save" in due or worth_keeping:
                checkpoints.save(now)
            accumulator = MetricAccumulator(objective.terms, measures(objective))
    checkpoints.finish(now)
    if inner is not model:
        restore_weights(model, weights(inner))
    return now


def update(
    accelerator: Accelerator,
    trained: nn.Module,
    optimizer: torch.optim.Optimizer,
    objective: Objective,
    parts: Sequence[MicroBatch],
    clip: float,
) -> tuple[dict[str, Tensor], Tensor]:
    """One update of the weights from this process's parts of the batch.

    Returns the sum of each term and measure over its places, and the norm of the gradient before clipping. The gradient
    is that of each term's mean over the places of *all* parts of all processes, times the share of the parts that have
    the term: in a mixture each objective weighs as often as it comes, into however many parts an update is cut.
    """
    places = [sum(part.counts.get(name, 0) for part in parts) for name in objective.terms]
    having = [sum(name in part.counts for part in parts) for name in objective.terms]
    all_2K = torch.tensor([places, having])
    if accelerator.num_processes > 1:
        all_2K = accelerator.reduce(all_2K.to(accelerator.device), "sum")
    # DDP and FSDP divide the gradient by the number of processes: what all have is shared out to the parts of one.
    totals, shares = (dict(zip(objective.terms, all_K, strict=True)) for all_K in all_2K.tolist())
    sums: dict[str, Tensor] = {}
    for part in parts:
        torch.manual_seed(part.seed)
        with nullcontext() if part is parts[-1] else accelerator.no_sync(trained):
            means = trained(objective, part.batch.to(accelerator.device))
            weighted = [
                mean * (part.counts[name] / max(1, totals[name]) * (shares[name] / len(parts)))
                for name, mean in means.items()
                if name in totals
            ]
            accelerator.backward(torch.stack(weighted).sum())
        for name, mean in means.items():
            sums[name] = sums.get(name, 0.0) + mean.detach() * part.counts[name]
    norm = whole(accelerator.clip_grad_norm_(trained.parameters(), clip or float("inf")))
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return sums, norm
