"""A linear-chain conditional random field on the labels of words (Lafferty et al. 2001; Lample et al. 2016, §2.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kepipe.data.batch import Batch
from kepipe.finetuning.heads import LabelHead
from kepipe.finetuning.sequence_decoding import NEVER, Transitions, allowed
from kepipe.finetuning.task_model import TaskModel
from kepipe.models.protocols import TrainableEncoder


class CrfHead(LabelHead):
    """The linear head with transition scores: of first labels, last labels, and pairs of neighbouring labels.
    Transitions that are invalid in the tagging scheme are fixed to `NEVER`."""

    def __init__(self, hidden: int, labels: Sequence[str], *, dropout: float = 0.0) -> None:
        super().__init__(hidden, 1, len(labels), dropout=dropout)
        self.first = nn.Parameter(torch.zeros(len(labels)))
        self.last = nn.Parameter(torch.zeros(len(labels)))
        self.pairs = nn.Parameter(torch.zeros(len(labels), len(labels)))
        for name, may in zip(("first", "last", "pairs"), allowed(labels), strict=True):
            self.register_buffer(f"may_{name}", torch.from_numpy(may), persistent=False)

    def scores(self) -> tuple[Tensor, Tensor, Tensor]:
        """Scores of the first label [L], the last one [L], and pairs of neighbours [L, L], float32."""
        first, last, pairs = (
            torch.where(may, weight.float(), NEVER)
            for may, weight in (
                (self.get_buffer("may_first"), self.first),
                (self.get_buffer("may_last"), self.last),
                (self.get_buffer("may_pairs"), self.pairs),
            )
        )
        return first, last, pairs

    def transitions(self) -> Transitions:
        """The scores as NumPy arrays."""
        return Transitions(*(scores.detach().cpu().double().numpy() for scores in self.scores()))


def log_likelihoods(
    scores_BWL: Tensor, labels_BW: Tensor, there_BW: Tensor, transitions: tuple[Tensor, Tensor, Tensor]
) -> Tensor:
    """ln p of each row's labels, float [B]: the score of the sequence minus the log partition function. Rows are
    left-aligned."""
    first_L, last_L, pairs_LL = transitions
    batch, (_, width, _) = torch.arange(len(scores_BWL), device=scores_BWL.device), scores_BWL.shape
    total_BL = first_L + scores_BWL[:, 0]
    own_B = first_L[labels_BW[:, 0]] + scores_BWL[batch, 0, labels_BW[:, 0]]
    for word in range(1, width):
        here_B, before, label = there_BW[:, word], labels_BW[:, word - 1], labels_BW[:, word]
        next_BL = scores_BWL[:, word] + torch.logsumexp(total_BL[:, :, None] + pairs_LL, 1)
        total_BL = torch.where(here_B[:, None], next_BL, total_BL)
        own_B = own_B + here_B * (pairs_LL[before, label] + scores_BWL[batch, word, label])
    ending_B = labels_BW[batch, there_BW.sum(1) - 1]
    return own_B + last_L[ending_B] - torch.logsumexp(total_BL + last_L, 1)


@dataclass(frozen=True)
class CrfCriterion:
    """−ln p of each row's label sequence, summed over rows, divided by the number of words."""

    terms: tuple[str, ...] = ("task",)
    metrics: tuple[str, ...] = ()

    def counts(self, batch: Batch) -> Mapping[str, int]:
        """The number of labelled words."""
        assert batch.labels is not None
        return {"task": len(batch.labels)}

    def __call__(self, model: TaskModel[TrainableEncoder], batch: Batch) -> dict[str, Tensor]:
        """See `Criterion`."""
        assert batch.labels is not None
        assert batch.label_positions is not None
        assert isinstance(model.head, CrfHead)
        scores_NL = model(batch)
        if not len(scores_NL):
            return {"task": scores_NL.sum()}
        row_N = batch.label_positions // batch.tokens.shape[1]
        _, sizes_R = torch.unique_consecutive(row_N, return_counts=True)
        sizes = sizes_R.tolist()
        scores_BWL = nn.utils.rnn.pad_sequence(list(torch.split(scores_NL, sizes)), batch_first=True)
        labels_BW = nn.utils.rnn.pad_sequence(list(torch.split(batch.labels, sizes)), batch_first=True)
        there_BW = torch.arange(scores_BWL.shape[1], device=sizes_R.device) < sizes_R[:, None]
        found_B = log_likelihoods(scores_BWL, labels_BW, there_BW, model.head.scores())
        return {"task": -found_B.sum() / len(scores_NL)}
