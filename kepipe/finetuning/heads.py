"""A task's head over an encoder, and the loss of its logits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kepipe.data.batch import Batch
from kepipe.finetuning.task import LabelKind
from kepipe.models.protocols import ParameterGroup, TrainableModel


class TaskHead(nn.Module):
    """W · dropout(h) + b, where h are the hidden states of a case's marked tokens side by side, or their row's mean."""

    def __init__(
        self, hidden: int, marks: int, labels: int, *, mean: bool = False, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.marks, self.mean = marks, mean
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(hidden if mean else hidden * marks, labels)

    def forward(self, hidden_BTD: Tensor, batch: Batch) -> Tensor:
        """Logits [N, L] of the N cases of a batch: its rows, or in tagging its words."""
        if self.mean:
            there_BT1 = (batch.documents > 0).unsqueeze(-1).to(hidden_BTD.dtype)
            read_ND = (hidden_BTD * there_BT1).sum(1) / there_BT1.sum(1)
        else:
            assert batch.label_positions is not None
            read_ND = hidden_BTD.flatten(0, 1).index_select(0, batch.label_positions)
            read_ND = read_ND.reshape(-1, self.marks * read_ND.shape[1])
        logits_NL: Tensor = self.dense(self.dropout(read_ND))
        return logits_NL


class TaskModel(TrainableModel):
    """An encoder (`kepipe.models.protocols.Encoder`) with a task's head."""

    def __init__(self, encoder: Any, head: TaskHead) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(self, batch: Batch) -> Tensor:
        """Logits of a batch's cases, float32 [N, L]."""
        logits_NL: Tensor = self.head(self.encoder.encode(batch), batch)
        return logits_NL.float()

    def parameter_groups(self) -> list[ParameterGroup]:
        """See `TrainableModel`: the encoder's groups, and the head's."""
        head = [parameter for parameter in self.head.parameters() if parameter.requires_grad]
        return [
            *self.encoder.parameter_groups(),
            ParameterGroup([parameter for parameter in head if parameter.ndim >= 2], decays=True),
            ParameterGroup([parameter for parameter in head if parameter.ndim < 2], decays=False),
        ]

    def layer_modules(self) -> list[nn.Module]:
        """See `TrainableModel`."""
        layers: list[nn.Module] = self.encoder.layer_modules()
        return layers

    def partially_used_parameters(self) -> list[nn.Parameter]:
        """See `TrainableModel`."""
        parameters: list[nn.Parameter] = self.encoder.partially_used_parameters()
        return parameters

    def set_gradient_checkpointing(self, on: bool) -> None:
        """See `TrainableModel`."""
        self.encoder.set_gradient_checkpointing(on)

    def set_flex_attention(self, on: bool) -> None:
        """See `TrainableModel`."""
        self.encoder.set_flex_attention(on)


class TaskCriterion:
    """The task's loss, the mean over its cases."""

    terms: tuple[str, ...] = ("task",)
    metrics: tuple[str, ...] = ()

    def __init__(self, kind: LabelKind) -> None:
        self.kind = kind

    def counts(self, batch: Batch) -> Mapping[str, int]:
        """Labelled cases."""
        assert batch.labels is not None
        return {"task": len(batch.labels)}

    def __call__(self, model: TaskModel, batch: Batch) -> dict[str, Tensor]:
        """See `Criterion`."""
        assert batch.labels is not None
        return {"task": loss(self.kind, model(batch), batch.labels)}


def initialise(head: TaskHead, seed: int) -> TaskHead:
    """Draw the weights as BERT's are: deviation 0.02, biases 0."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        head.dense.weight.normal_(0.0, 0.02, generator=generator)
        head.dense.bias.zero_()
    return head


def loss(kind: LabelKind, logits_NL: Tensor, labels: Tensor) -> Tensor:
    """Mean over cases: cross-entropy of the one label [N]; for several the summed binary ones, of 0 and 1 [N, L]."""
    if kind == "one":
        return F.cross_entropy(logits_NL, labels)
    binary_NL = F.binary_cross_entropy_with_logits(logits_NL, labels.float(), reduction="none")
    return binary_NL.sum(1).mean()


def probabilities(kind: LabelKind, logits_NL: Tensor) -> Tensor:
    """[N, L]; of several, each label's own."""
    return logits_NL.softmax(-1) if kind == "one" else logits_NL.sigmoid()
