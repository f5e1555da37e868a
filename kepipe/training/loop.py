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
from kepipe.flow.stage import Work
from kepipe.objectives.base import Objective, measures
from kepipe.training.distributed import accelerator, choose_precision, spread
from kepipe.training.divergence import diverged
from kepipe.training.evaluator import Judge
from kepipe.training.lr_schedule import learning_rate
from kepipe.training.metrics import NotFinite, Window
from kepipe.training.microbatches import Feed, Part, Render
from kepipe.training.optimizer import set_rate
from kepipe.training.settings import Training
from kepipe.training.state_dict import restore_weights, weights, whole
from kepipe.training.throughput import Speed
from kepipe.training.train_state import Keeper, Progress

if TYPE_CHECKING:
    from kepipe.models.transformer import Transformer


def train(
    model: Transformer,
    objective: Objective,
    render: Render,
    settings: Training,
    work: Work,
    held_out: Judge | None = None,
) -> Progress:
    """Train `model` in place, continuing from the newest whole checkpoint in `work.scratch`.

    Logs loss, held_out_loss, learning_rate, gradient_norm and the speed. Raises ValueError where the settings
    do not fit the machine, Diverged (a ValueError) where the loss stops being a number, OSError where a
    checkpoint cannot be written.
    """
    machine = accelerator(choose_precision(settings.precision, work.device), work.device)
    feed = Feed(objective, render, settings, work.seed, machine.process_index, machine.num_processes)
    speed = Speed.measure(machine, model, feed)
    inner, trained, optimizer = spread(machine, model, settings, work.scratch)
    if settings.blocks:
        inner.use_blocks()
    keeper = Keeper(machine, inner, optimizer, settings, work)
    now = keeper.restore()
    if held_out and now.step == 0:
        work.log(held_out.measure(machine, trained), step=0)
    window = Window(objective.terms, measures(objective))
    with (
        freed_memory_kept(machine.device.type),
        closing(feed.updates(now.step)) as updates,
        work.progress("training", settings.steps, "steps", now.step) as tick,
    ):
        while not now.finished(settings):
            parts = window.wait(updates)
            rate = learning_rate(now.step, settings)
            set_rate(optimizer, rate)
            sums, norm = update(machine, trained, optimizer, objective, parts, settings.clip)
            window.add(now.step, sums, parts, norm)
            now.step += 1
            tick(1)
            due = settings.due(now.step)
            if not due:
                continue
            try:
                measured = window.means(machine) | speed.of(window, machine.num_processes)
            except NotFinite as reason:
                raise diverged(reason, feed.update(reason.step), work.scratch, rate) from None
            worth_keeping = False
            if held_out and "measure" in due:
                measured |= held_out.measure(machine, trained)
                worth_keeping = now.judge(measured[held_out.chooses], settings.keeps_best())
            work.log(measured | {"learning_rate": rate}, step=now.step)
            if "save" in due or worth_keeping:
                keeper.save(now)
            window = Window(objective.terms, measures(objective))
    keeper.finish(now)
    if inner is not model:
        restore_weights(model, weights(inner))
    return now


def update(
    machine: Accelerator,
    trained: nn.Module,
    optimizer: torch.optim.Optimizer,
    objective: Objective,
    parts: Sequence[Part],
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
    if machine.num_processes > 1:
        all_2K = machine.reduce(all_2K.to(machine.device), "sum")
    # DDP and FSDP divide the gradient by the number of processes: what all have is shared out to the parts of one.
    totals, shares = (dict(zip(objective.terms, all_K, strict=True)) for all_K in all_2K.tolist())
    sums: dict[str, Tensor] = {}
    for part in parts:
        torch.manual_seed(part.seed)
        with nullcontext() if part is parts[-1] else machine.no_sync(trained):
            means = trained(objective, part.batch.to(machine.device))
            weighted = [
                mean * (part.counts[name] / max(1, totals[name]) * (shares[name] / len(parts)))
                for name, mean in means.items()
                if name in totals
            ]
            machine.backward(torch.stack(weighted).sum())
        for name, mean in means.items():
            sums[name] = sums.get(name, 0.0) + mean.detach() * part.counts[name]
    norm = whole(machine.clip_grad_norm_(trained.parameters(), clip or float("inf")))
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return sums, norm
