"""What reads hidden states for a task: a linear layer over the marked tokens, and the loss of its logits.

The head joins the transformer as one more child, so that optimiser, checkpoints and whatever wraps a module see
one model. It is taken off again before the model is saved.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kepipe.data.batch import Batch
from kepipe.models.transformer import encoder_visibility

if TYPE_CHECKING:
    from kepipe.models.transformer import Transformer

NAME = "task_head"
Kind = Literal["one", "several"]
"""One label of each case (softmax), or several (a sigmoid for each label)."""


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


def attach(model: Transformer, head: TaskHead) -> None:
    """Make the head a part of the model."""
    model.add_module(NAME, head)


def detach(model: Transformer) -> dict[str, Tensor]:
    """Take the head off the model again; its weights by name."""
    weights = {name: value.detach() for name, value in model.get_submodule(NAME).named_parameters()}
    delattr(model, NAME)
    return weights


def initialise(head: TaskHead, seed: int) -> TaskHead:
    """Draw the weights as BERT's are: deviation 0.02, biases 0."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        head.dense.weight.normal_(0.0, 0.02, generator=generator)
        head.dense.bias.zero_()
    return head


def restore(head: TaskHead, weights: Mapping[str, Tensor]) -> TaskHead:
    """Put saved weights into a head."""
    head.load_state_dict(weights)
    return head


def hidden_states(model: Transformer, batch: Batch) -> Tensor:
    """[B, T, D]: the encoder's hidden states where there is an encoder, else the decoder's."""
    if model.encoder is None or model.decoder is None:
        hidden_BTD: Tensor = model(batch)
        return hidden_BTD
    return model.encode(
        batch.tokens, encoder_visibility(batch), positions_BT=batch.positions, segments_BT=batch.segments
    )


def logits(model: Transformer, batch: Batch) -> Tensor:
    """The head's logits of a batch's cases, float32 [N, L]."""
    logits_NL: Tensor = model.get_submodule(NAME)(hidden_states(model, batch), batch)
    return logits_NL.float()


def loss(kind: Kind, logits_NL: Tensor, labels: Tensor) -> Tensor:
    """Mean over cases: cross-entropy of the one label [N]; for several the summed binary ones, of 0 and 1 [N, L]."""
    if kind == "one":
        return F.cross_entropy(logits_NL, labels)
    binary_NL = F.binary_cross_entropy_with_logits(logits_NL, labels.float(), reduction="none")
    return binary_NL.sum(1).mean()


def probabilities(kind: Kind, logits_NL: Tensor) -> Tensor:
    """[N, L]; of several, each label's own."""
    return logits_NL.softmax(-1) if kind == "one" else logits_NL.sigmoid()
