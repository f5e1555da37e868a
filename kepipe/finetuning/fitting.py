"""Fine-tuning as a training: the task is an objective whose `corrupt` only batches, so that there is one loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from kepipe.arrays import Floats
from kepipe.data.batch import Batch, ExampleRefs, TokenRows
from kepipe.data.batch_sampler import BatchSampler
from kepipe.device import native_bfloat16
from kepipe.finetuning import heads
from kepipe.finetuning.collator import Collator
from kepipe.finetuning.examples import Example
from kepipe.finetuning.rows import Row
from kepipe.finetuning.table import Task

if TYPE_CHECKING:
    from accelerate import Accelerator

    from kepipe.models.transformer import Transformer


@dataclass(frozen=True)
class Fitting:
    """The task's loss over its training rows, as an objective of `kepipe.training.loop`."""

    rows: Sequence[Row]
    collator: Collator
    terms = ("task",)

    def corrupt(self, sequences: TokenRows, rng: np.random.Generator, progress: float) -> Batch:  # noqa: ARG002
        """The batch of the rows that `sequences.refs` names; nothing is hidden, nothing is drawn."""
        assert sequences.refs is not None
        return self.collator.batch([self.rows[n] for n in sequences.refs.examples.tolist()])[0]

    def counts(self, batch: Batch) -> dict[str, int]:
        assert batch.labels is not None
        return {"task": len(batch.labels)}

    def loss(self, model: Transformer, batch: Batch) -> dict[str, Tensor]:
        assert batch.labels is not None
        return {"task": heads.loss(self.collator.kind, heads.logits(model, batch), batch.labels)}


@dataclass(frozen=True)
class Visits:
    """Batch number → which rows: rows of like length together, in an order that the seed shuffles anew each epoch."""

    sampler: BatchSampler

    @classmethod
    def of(cls, rows: Sequence[Row], tokens: int, seed: int) -> Visits:
        """`tokens`: of a batch, rows × longest row."""
        return cls(BatchSampler(np.fromiter(map(len, rows), np.int64, len(rows)), tokens, seed))

    def render(self, number: int) -> TokenRows:
        """Sequences that only say which rows they are; their tokens stay in the rows until the batch is made."""
        examples = self.sampler.rows(number)
        none = np.zeros((len(examples), 0), np.int64)
        refs = ExampleRefs(examples, self.sampler.epoch(number), self.sampler.seed)
        return TokenRows(none, none, none, none > 0, {}, none, none, refs=refs)


@dataclass(frozen=True)
class DevEvaluator:
    """The rows by which the best epoch is chosen: those of the highest `task.choose_by`."""

    task: Task
    examples: Sequence[Example]
    rows: Sequence[Row]
    collator: Collator
    labels: Sequence[str]
    tokens: int
    selection_metric = "held_out_error"

    def measure(self, accelerator: Accelerator, trained: nn.Module) -> dict[str, float]:
        """Each metric as `held_out_<metric>`, and 1 − the one that chooses as `held_out_error`."""
        model: Any = accelerator.unwrap_model(trained)
        trained.eval()
        found = answers(model.model, self.collator, self.rows, self.tokens)
        trained.train()
        metrics = self.task.measure(self.examples, found, self.labels)
        told = {f"held_out_{name}": metric.score for name, metric in metrics.items()}
        return {self.selection_metric: 1.0 - metrics[self.task.choose_by].score, **told}


@torch.inference_mode()
def answers(
    model: Transformer,
    collator: Collator,
    rows: Sequence[Row],
    tokens: int,
    tick: Callable[[int], None] = lambda _: None,
) -> list[Floats]:
    """The probabilities of each row's cases, float [cases, L]; `tokens`: of a batch. In the order of the rows."""
    device = next(model.parameters()).device
    sampler = np.argsort([len(row) for row in rows], kind="stable")[::-1].tolist()
    found: dict[int, Floats] = {}
    while sampler:
        size = max(1, tokens // len(rows[sampler[0]]))
        now, sampler = sampler[:size], sampler[size:]
        batch, cases_B = collator.batch([rows[n] for n in now])
        with torch.autocast(device.type, torch.bfloat16, enabled=native_bfloat16(str(device))):
            logits_NL = heads.logits(model, batch.to(device))
        probable = heads.probabilities(collator.kind, logits_NL).double().cpu().numpy()
        found |= zip(now, np.split(probable, np.cumsum(cases_B)[:-1]), strict=True)
        tick(len(now))
    return [found[n] for n in range(len(rows))]
