"""The training loop.

All randomness is a function of the seed and the number of a batch, so that resuming needs the weights, the optimiser's
state, the state that the model carries from batch to batch, and one integer.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, nullcontext
from dataclasses import replace

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from kepipe.device import freed_memory_kept
from kepipe.flow.stage import StageContext
from kepipe.models.protocols import TrainableModel
from kepipe.training.carried_states import CarriedStates
from kepipe.training.criterion import Criterion
from kepipe.training.distributed import (
    compiled_for_shapes,
    make_accelerator,
    parallelize,
    resolve_precision,
    set_flex_attention,
)
from kepipe.training.divergence import diverged, require_finite
from kepipe.training.evaluator import Evaluator
from kepipe.training.lr_schedule import learning_rate
from kepipe.training.metrics import MetricAccumulator, NotFinite
from kepipe.training.microbatches import Batches, MicroBatch, MicrobatchLoader
from kepipe.training.optimizer import set_rate
from kepipe.training.settings import TrainingSettings
from kepipe.training.state_dict import full_tensor, restore_weights, weights
from kepipe.training.stopwatch import Stopwatch, training_progress
from kepipe.training.throughput import Throughput
from kepipe.training.train_state import CheckpointManager, TrainState


def train(
    model: TrainableModel,
    batches: Batches,
    criterion: Criterion,
    settings: TrainingSettings,
    context: StageContext,
    evaluator: Evaluator | None = None,
) -> TrainState:
    """Train `model` in place, continuing from the newest intact checkpoint in `context.scratch`.

    `batches`: (number of a micro-batch, share of the training that is done) → the micro-batch. Logs the loss, the
    metrics of `evaluator`, learning_rate, gradient_norm and throughput. Raises ValueError if the settings do not fit
    the machine, Diverged (a ValueError) if the loss is no longer finite, OSError if a checkpoint cannot be written.
    """
    accelerator = make_accelerator(resolve_precision(settings.precision, context.device), context.device)
    loader = MicrobatchLoader(
        batches,
        criterion.counts,
        settings,
        context.seed,
        accelerator.process_index,
        accelerator.num_processes,
        pin=accelerator.device.type == "cuda",
    )
    throughput = Throughput.measure(accelerator, model, criterion, loader)
    if static := compiled_for_shapes(model, settings, accelerator.device, batches):
        loader = replace(loader, few_shapes=True)
    inner, loss_module, optimizer = parallelize(accelerator, model, settings, context.scratch, static)
    set_flex_attention(inner, settings, accelerator.device)
    carried = CarriedStates()
    checkpoints = CheckpointManager(accelerator, inner, optimizer, carried, settings, context)
    state = checkpoints.restore()
    measured: tuple[str, ...] = ()
    if evaluator and state.step == 0:
        metrics = evaluator.evaluate(accelerator, loss_module)
        measured = tuple(metrics)
        context.log(metrics, step=0)
        if state.finished(settings):
            state.record(metrics[evaluator.selection_metric], keep=0)
    accumulator, rate = MetricAccumulator(criterion.terms, criterion.metrics), 0.0
    with (
        freed_memory_kept(accelerator.device.type),
        closing(checkpoints),
        closing(loader.updates(state)) as updates,
        training_progress(context, settings, state) as tick,
    ):
        stopwatch = Stopwatch(accelerator, settings, state)
        while not state.finished(settings):
            planned, micro_batches = accumulator.wait(updates)
            rate = learning_rate(state.share(settings), settings, stopwatch.share_of_update)
            set_rate(optimizer, rate)
            sums, norm = update(
                accelerator, loss_module, optimizer, criterion, micro_batches, carried, settings.max_grad_norm
            )
            accumulator.add(planned, sums, micro_batches, norm)
            state.step += 1
            state.micro_batches = planned.numbers.stop
            tick(stopwatch.note(state))
            actions = settings.actions_at(state.step, state.share(settings) >= 1.0)
            if not actions:
                continue
            try:
                metrics = accumulator.means(accelerator) | throughput.of(
                    accumulator, accelerator.num_processes
                )
            except NotFinite as reason:
                raise diverged(reason, loader.reload(reason.update), context.scratch, rate) from None
            worth_keeping, measured = False, ()
            if evaluator and "measure" in actions:
                held_out = evaluator.evaluate(accelerator, loss_module)
                metrics, measured = metrics | held_out, tuple(held_out)
                worth_keeping = state.record(
                    metrics[evaluator.selection_metric], settings.num_best_checkpoints()
                )
            context.log(metrics | {"learning_rate": rate}, step=state.step)
            if "save" in actions or worth_keeping:
                checkpoints.save(state, measured)
            accumulator = MetricAccumulator(criterion.terms, criterion.metrics)
        checkpoints.wait()
    checkpoints.finish(state, measured)
    if inner is not model:
        restore_weights(model, weights(inner))
    require_finite(model, rate=rate)
    return state


def update(
    accelerator: Accelerator,
    loss_module: nn.Module,
    optimizer: torch.optim.Optimizer,
    criterion: Criterion,
    micro_batches: Sequence[MicroBatch],
    carried: CarriedStates,
    max_grad_norm: float,
) -> tuple[dict[str, Tensor], Tensor]:
    """One update of the weights from this process's micro-batches.

    Returns the sum of each term and metric over its places, and the norm of the gradient before clipping. Each term
    contributes its mean over the places of *all* micro-batches of all processes, times the share of micro-batches that
    have the term: an objective of a mixture is weighted by how often it is drawn, whatever `accumulate` is.
    """
    terms = criterion.terms
    places = [sum(part.counts.get(name, 0) for part in micro_batches) for name in terms]
    having = [sum(name in part.counts for part in micro_batches) for name in terms]
    all_2K = torch.tensor([places, having])
    if accelerator.num_processes > 1:
        all_2K = accelerator.reduce(all_2K.to(accelerator.device), "sum")
    # DDP and FSDP average gradients over processes, so shares are of this process's number of micro-batches
    totals, shares = (dict(zip(terms, all_K, strict=True)) for all_K in all_2K.tolist())
    sums: dict[str, Tensor] = {}
    for part in micro_batches:
        torch.manual_seed(part.seed)
        with nullcontext() if part is micro_batches[-1] else accelerator.no_sync(loss_module):
            means = loss_module(criterion, carried.attach(part.batch.to(accelerator.device)))
            weighted = [
                mean * (part.counts[name] / max(1, totals[name]) * (shares[name] / len(micro_batches)))
                for name, mean in means.items()
                if name in totals
            ]
            accelerator.backward(torch.stack(weighted).sum())
        for name, mean in means.items():
            sums[name] = sums.get(name, 0.0) + mean.detach() * part.counts[name]
    norm = full_tensor(accelerator.clip_grad_norm_(loss_module.parameters(), max_grad_norm or float("inf")))
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return sums, norm
