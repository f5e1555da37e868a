"""What a fine-tuned model answers, and how good its answers are while it learns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from kepipe.device import native_bfloat16
from kepipe.finetuning.collator import TaskCollator
from kepipe.finetuning.examples import Example
from kepipe.finetuning.output import Answer, RowAnswer
from kepipe.finetuning.rows import Row
from kepipe.finetuning.task import Task
from kepipe.finetuning.task_model import TaskModel

if TYPE_CHECKING:
    from accelerate import Accelerator

    from kepipe.models.protocols import TrainableEncoder


@dataclass(frozen=True)
class DevEvaluator:
    """Measures the rows by which the best epoch is chosen: that of the highest `task.choose_by`."""

    task: Task
    examples: Sequence[Example]
    rows: Sequence[Row]
    collator: TaskCollator
    tokens: int
    selection_metric = "held_out_error"

    def evaluate(self, accelerator: Accelerator, loss_module: nn.Module) -> dict[str, float]:
        """Each metric as `held_out_<metric>`, and 1 − the one that chooses as `held_out_error`."""
        unwrapped: Any = accelerator.unwrap_model(loss_module)
        loss_module.eval()
        found = answers(unwrapped.model, self.collator, self.rows, self.tokens)
        loss_module.train()
        metrics = self.task.measure(self.examples, found, self.collator.answers.labels)
        values = {f"held_out_{name}": metric.score for name, metric in metrics.items()}
        return {self.selection_metric: 1.0 - metrics[self.task.choose_by].score, **values}


def answers(
    model: TaskModel[TrainableEncoder],
    collator: TaskCollator,
    rows: Sequence[Row],
    tokens: int,
    tick: Callable[[int], None] = lambda _: None,
) -> list[Answer]:
    """What the model answers to each example, in their order. `rows`: those of an example one after the other;
    `tokens`: of a batch."""
    parts = row_answers(model, collator, rows, tokens, tick)
    merge = collator.output.merge
    return [
        merge(model, of_rows, its_rows, collator.answers) for of_rows, its_rows in by_example(parts, rows)
    ]


def by_example(
    parts: Sequence[RowAnswer], rows: Sequence[Row]
) -> Iterator[tuple[list[RowAnswer], list[Row]]]:
    """The answers to the rows of each example, and these rows."""
    pairs = zip(parts, rows, strict=True)
    for _, group in groupby(pairs, lambda pair: pair[1].example):
        of_rows, its_rows = zip(*group, strict=True)
        yield list(of_rows), list(its_rows)


@torch.inference_mode()
def row_answers(
    model: TaskModel[TrainableEncoder],
    collator: TaskCollator,
    rows: Sequence[Row],
    tokens: int,
    tick: Callable[[int], None] = lambda _: None,
) -> list[RowAnswer]:
    """What the model answers to each row, in their order. Where answers are searched for, each hypothesis of the beam
    takes its part of the `tokens`."""
    generation = collator.answers.generation
    beams = 1 if generation is None else generation.num_beams
    device = next(model.parameters()).device
    order = np.argsort([len(row) for row in rows], kind="stable")[::-1].tolist()
    found: dict[int, RowAnswer] = {}
    while order:
        size = max(1, tokens // (len(rows[order[0]]) * beams))
        now, order = order[:size], order[size:]
        batch = collator([rows[n] for n in now]).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=native_bfloat16(str(device))):
            made = collator.output.answers(model, batch, collator.answers)
        found |= dict(zip(now, made, strict=True))
        tick(len(now))
    return [found[n] for n in range(len(rows))]
