"""What a fine-tuned model answers, and how good its answers are while it learns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from kepipe.arrays import Floats
from kepipe.device import native_bfloat16
from kepipe.finetuning.collator import TaskCollator
from kepipe.finetuning.examples import Example
from kepipe.finetuning.output import Answer
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


@torch.inference_mode()
def answers(
    model: TaskModel[TrainableEncoder],
    collator: TaskCollator,
    rows: Sequence[Row],
    tokens: int,
    tick: Callable[[int], None] = lambda _: None,
) -> list[Answer]:
    """What the model answers to each row, in their order. `tokens`: of a batch."""
    device = next(model.parameters()).device
    order = np.argsort([len(row) for row in rows], kind="stable")[::-1].tolist()
    found: dict[int, Answer] = {}
    while order:
        size = max(1, tokens // len(rows[order[0]]))
        now, order = order[:size], order[size:]
        batch = collator([rows[n] for n in now]).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=native_bfloat16(str(device))):
            made = collator.output.answers(model, batch, collator.answers)
        found |= {
            n: answer if rows[n].words is None else by_word(answer, rows[n])
            for n, answer in zip(now, made, strict=True)
        }
        tick(len(now))
    return [found[n] for n in range(len(rows))]


def by_word(answer_NL: Floats, row: Row) -> Floats:
    """An answer to the words that were read as one to all words up to the last of them, NaN for the others."""
    words = row.read_words[: len(answer_NL)]  # knowledge may have pushed the last ones out
    answer_WL = np.full((words[-1] + 1 if words else 0, answer_NL.shape[1]), np.nan)
    answer_WL[list(words)] = answer_NL
    return answer_WL
