"""The classification head and its loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kepipe.data.batch import Batch
from kepipe.finetuning.output import PLAIN_LOSS, LossSettings
from kepipe.finetuning.read_positions import SOFT_LABELS, TEACHER_STATES
from kepipe.finetuning.task_model import TaskModel
from kepipe.models.protocols import TrainableEncoder
from kepipe.training.soft_targets import binary_divergence, divergence, similarity_difference


class LabelHead(nn.Module):
    """W · dropout(h) + b, where h is the concatenation of the hidden states of a case's tokens, or the row's mean."""

    def __init__(
        self, hidden: int, tokens_per_case: int, labels: int, *, mean: bool = False, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.tokens_per_case, self.mean = tokens_per_case, mean
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(hidden if mean else hidden * tokens_per_case, labels)

    def forward(self, hidden_BTD: Tensor, batch: Batch) -> Tensor:
        """Logits [N, L] of the N cases of a batch: its rows, or in tagging its words. `hidden_BTD`: hidden states."""
        return self.logits(self.read(hidden_BTD, batch))

    def read(self, hidden_BTD: Tensor, batch: Batch) -> Tensor:
        """What the linear layer reads of each case: hidden states, float [N, D]."""
        if self.mean:
            there_BT1 = (batch.documents > 0).unsqueeze(-1).to(hidden_BTD.dtype)
            return (hidden_BTD * there_BT1).sum(1) / there_BT1.sum(1)
        assert batch.label_positions is not None
        read_ND = hidden_BTD.flatten(0, 1).index_select(0, batch.label_positions)
        return read_ND.reshape(-1, self.tokens_per_case * read_ND.shape[1])

    def logits(self, read_ND: Tensor) -> Tensor:
        """Logits [N, L] of the cases."""
        logits_NL: Tensor = self.dense(self.dropout(read_ND))
        return logits_NL

    @torch.no_grad()
    def scale_logits(self, factor: float) -> None:
        """Scale the weights so that all logits are multiplied by `factor`."""
        for weight in self.parameters():
            weight.mul_(factor)


@dataclass(frozen=True)
class LabelCriterion:
    """The mean loss over labelled cases. `several`: multi-label. `settings`: label smoothing (Szegedy et al. 2016, §7;
    single-label only), label weights, and the weights of a teacher's probabilities and of the similarities of its
    hidden states, each a term of its own."""

    several: bool
    settings: LossSettings = PLAIN_LOSS
    metrics: tuple[str, ...] = ()

    @property
    def terms(self) -> tuple[str, ...]:
        """See `Criterion`."""
        weights = {"distillation": self.settings.teacher_weight, "similarities": self.settings.similarities}
        return ("task", *(name for name, weight in weights.items() if weight))

    def counts(self, batch: Batch) -> Mapping[str, int]:
        """The number of labelled cases."""
        assert batch.labels is not None
        return dict.fromkeys(self.terms, len(batch.labels))

    def __call__(self, model: TaskModel[TrainableEncoder], batch: Batch) -> dict[str, Tensor]:
        """See `Criterion`."""
        assert batch.labels is not None
        similarities = self.settings.similarities
        if not similarities:
            return self._of_logits(model(batch), batch)
        assert isinstance(model.head, LabelHead)
        hidden_BTD = model.hidden(batch)
        logits_NL = model.of_hidden(hidden_BTD, batch)
        ours_ND = model.head.read(hidden_BTD, batch)
        theirs_ND = batch.extra[TEACHER_STATES]
        read_N = ~theirs_ND.isnan().any(-1)
        difference = similarity_difference(ours_ND[read_N], theirs_ND[read_N])
        return {**self._of_logits(logits_NL, batch), "similarities": similarities * difference}

    def _of_logits(self, logits_NL: Tensor, batch: Batch) -> dict[str, Tensor]:
        assert batch.labels is not None
        task = loss(logits_NL, batch.labels, self.settings, several=self.several)
        share, temperature = self.settings.teacher_weight, self.settings.temperature
        if not share:
            return {"task": task}
        differ = binary_divergence if self.several else divergence
        from_teacher = differ(logits_NL, batch.extra[SOFT_LABELS], temperature)
        return {"task": (1 - share) * task, "distillation": share * from_teacher}


class LinearHead(Protocol):
    """A head with a linear layer."""

    dense: nn.Linear


HeadT = TypeVar("HeadT", bound=LinearHead)


def initialise(head: HeadT, seed: int) -> HeadT:
    """Initialise as in BERT: weights from N(0, 0.02²), biases 0."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        head.dense.weight.normal_(0.0, 0.02, generator=generator)
        head.dense.bias.zero_()
    return head


def loss(logits_NL: Tensor, labels: Tensor, settings: LossSettings = PLAIN_LOSS, *, several: bool) -> Tensor:
    """Mean over cases: weighted cross-entropy of `labels` [N]; if `several`, binary cross-entropy of `labels` (0 or 1)
    [N, L], summed over labels, with weights on the present labels."""
    if not len(labels):
        return logits_NL.sum()
    weights_L = None if settings.weights is None else logits_NL.new_tensor(settings.weights)
    if not several:
        summed = F.cross_entropy(
            logits_NL, labels, weights_L, label_smoothing=settings.label_smoothing, reduction="sum"
        )
        return summed / len(labels)
    binary_NL = F.binary_cross_entropy_with_logits(
        logits_NL, labels.float(), reduction="none", pos_weight=weights_L
    )
    return binary_NL.sum(1).mean()
