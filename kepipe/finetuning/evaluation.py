"""Inference of a task model on rows, and its evaluation on `dev` during training."""

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
    """Evaluates the dev rows; the best epoch is that with the highest `task.choose_by`."""

    task: Task
    examples: Sequence[Example]
    rows: Sequence[Row]
    collator: TaskCollator
    tokens: int
    selection_metric = "held_out_error"

    def evaluate(self, accelerator: Accelerator, loss_module: nn.Module) -> dict[str, float]:
        """Each metric as `held_out_<metric>`, and 1 − the selection metric as `held_out_error`."""
        unwrapped: Any = accelerator.unwrap_model(loss_module)
        loss_module.eval()
        predictions = answers(unwrapped.model, self.collator, self.rows, self.tokens)
        loss_module.train()
        metrics = self.task.measure(self.examples, predictions, self.collator.answers.labels)
        values = {f"held_out_{name}": metric.score for name, metric in metrics.items()}
        return {self.selection_metric: 1.0 - metrics[self.task.choose_by].score, **values}


def answers(
    model: TaskModel[TrainableEncoder],
    collator: TaskCollator,
    rows: Sequence[Row],
    tokens: int,
    tick: Callable[[int], None] = lambda _: None,
) -> list[Answer]:
    """The answer to each example, in order. `rows`: grouped by example; `tokens`: the size of a batch."""
    parts = row_answers(model, collator, rows, tokens, tick)
    merge = collator.output.merge
    return [
        merge(model, of_rows, its_rows, collator.answers) for of_rows, its_rows in by_example(parts, rows)
    ]


def by_example(
    parts: Sequence[RowAnswer], rows: Sequence[Row]
) -> Iterator[tuple[list[RowAnswer], list[Row]]]:
    """Group answers and rows by example."""
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
    """The answer to each row, in order. With beam search, the batch size is divided by the number of beams."""
    generation = collator.answers.generation
    beams = 1 if generation is None else generation.num_beams
    device = next(model.parameters()).device
    order = np.argsort([len(row) for row in rows], kind="stable")[::-1].tolist()
    by_row: dict[int, RowAnswer] = {}
    while order:
        size = max(1, tokens // (len(rows[order[0]]) * beams))
        indices, order = order[:size], order[size:]
        batch = collator([rows[n] for n in indices]).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=native_bfloat16(str(device))):
            batch_answers = collator.output.answers(model, batch, collator.answers)
        by_row |= dict(zip(indices, batch_answers, strict=True))
        tick(len(indices))
    return [by_row[n] for n in range(len(rows))]
