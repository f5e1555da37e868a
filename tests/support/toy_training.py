"""A small real training: random rows with a pattern, a tiny BERT, one in seven tokens masked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kepipe.data.batch import Batch, TokenRows
from kepipe.flow.events import Event, Metrics, Noted
from kepipe.flow.stage import StageContext
from kepipe.models.base import Base, build
from kepipe.models.protocols import TrainableModel
from kepipe.models.transformer import Transformer
from kepipe.objectives.base import Objective
from kepipe.objectives.batches import CorruptedBatches, RowSource, held_out_batches
from kepipe.objectives.losses import LossSum, NextSentenceLoss, TokenLoss, tensor
from kepipe.objectives.task_mixture import task_mixture
from kepipe.objectives.turns import joint
from kepipe.training.evaluator import Evaluator, HeldOutLoss
from kepipe.training.loop import train
from kepipe.training.settings import TrainingSettings
from kepipe.training.train_state import TrainState

VOCABULARY, MASK, ROWS, LENGTH = 40, 1, 8, 16


def toy_rows(number: int) -> TokenRows:
    """Rows that count upwards from one of three starts."""
    rng = np.random.default_rng([7, number])
    tokens = 2 + rng.integers(0, 3, (ROWS, 1)) + 2 * np.arange(LENGTH)
    zeros = np.zeros_like(tokens)
    return TokenRows(
        tokens, zeros, zeros + 1, zeros > 0, {"word": zeros + np.arange(LENGTH)}, zeros - 1, zeros
    )


def mask_tokens(rows: TokenRows, rng: np.random.Generator, _progress: float) -> Batch:
    """Mask each token with probability 1/7."""
    masked = rng.random(rows.tokens.shape) < 1 / 7
    masked[0, 0] = True
    return Batch(
        tensor(np.where(masked, MASK, rows.tokens)),
        tensor(rows.documents),
        label_positions=tensor(np.flatnonzero(masked)),
        labels=tensor(rows.tokens[masked]),
    )


def mask_tokens_with_labels(rows: TokenRows, rng: np.random.Generator, progress: float) -> Batch:
    """The same, with a row label: whether its second token is even."""
    return replace(mask_tokens(rows, rng, progress), next_sentence_labels=tensor(rows.tokens[:, 1] % 2))


HIDDEN = TokenLoss("hidden")
MASKING = Objective(mask_tokens, HIDDEN)
MASKING_WITH_LABELS = Objective(mask_tokens_with_labels, LossSum(HIDDEN, NextSentenceLoss("judged")))
PARTS = (MASKING, MASKING_WITH_LABELS)


def masking_mixture() -> Objective:
    """Batches of both objectives, two of three without row labels."""
    return task_mixture(PARTS, ("some", "pairs"), joint((2.0, 1.0), (0.0, 0.0)))


def fit(
    model: TrainableModel,
    objective: Objective,
    rows: RowSource,
    settings: TrainingSettings,
    context: StageContext,
    evaluator: Evaluator | None = None,
) -> TrainState:
    """Train on corrupted rows, as pretraining does."""
    batches = CorruptedBatches(rows, objective, context.seed)
    return train(model, batches, objective.criterion, settings, context, evaluator)


def held_out_loss(objective: Objective, rows: RowSource, count: int) -> HeldOutLoss:
    """The objective's loss on the first `count` batches of other rows."""
    return HeldOutLoss(objective.criterion, held_out_batches(objective, rows, count))


class EventRecorder:
    """A sink that stores events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def metric(self, name: str) -> dict[int, float]:
        """Step → value; the last value of a step counts."""
        return {
            e.step: e.values[name]
            for e in self.events
            if isinstance(e, Metrics) and e.step is not None and name in e.values
        }

    def notes(self) -> str:
        return "\n".join(e.message for e in self.events if isinstance(e, Noted))


def context_in(folder: Path, recorder: EventRecorder | None = None, seed: int = 3) -> StageContext:
    """A stage context."""
    for name in ("out", "scratch"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return StageContext(folder / "out", folder / "scratch", seed, "cpu", recorder or EventRecorder())


def tiny(dropout: float = 0.1) -> Transformer:
    """BERT of 2 layers × 32."""
    sizes = {"layers": 2, "hidden": 32, "heads": 2, "positions": LENGTH}
    return build(Base(**sizes, dropout=dropout, init="normal"), VOCABULARY, 5)


def settings(**changes: Any) -> TrainingSettings:
    """12 steps, or the `budget` given, in fp32; a checkpoint after every fourth."""
    defaults: dict[str, Any] = {
        "steps": 12,
        "batch_tokens": ROWS * LENGTH,
        "precision": "fp32",
        "learning_rate": 3e-3,
        "log_every": 2,
        "checkpoint_every": 4,
        "eval_every": 6,
    }
    if "budget" in changes:
        del defaults["steps"]
    return TrainingSettings(**(defaults | changes))


def equal_weights(one: Transformer, other: Transformer) -> bool:
    """Whether all weights are equal bit for bit."""
    others = dict(other.named_parameters())
    return all(torch.equal(value, others[name]) for name, value in one.named_parameters())
