"""The head of a model that links entities: labels of words, and scores of the candidates of names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kepipe.data.batch import Batch
from kepipe.finetuning.task_model import TaskModel
from kepipe.models.protocols import TrainableEncoder

IGNORED = -100
"""The label of a name that the loss leaves out."""


class Names(NamedTuple):
    """S names and their K candidates. `first`, `last`: the cases of their first and last word, int [S]. `owners`: the
    name of each candidate, int [K], ascending. `vectors`: of the entities, float [K, D]. `features`: float [K, F]."""

    first: Tensor
    last: Tensor
    owners: Tensor
    vectors: Tensor
    features: Tensor


class LinkHead(nn.Module):
    """For each word, logits of its labels, and two vectors, with which a name begins and ends.

    The vector v of a name is the sum of its first word's first vector and its last word's second one. The score of
    candidate e is v · W x + w · f + b, with the entity's vector x and the candidate's features f; that of no entity
    is v · n.
    """

    def __init__(
        self, hidden: int, labels: int, entities: int, features: Tensor, bias: float, *, dropout: float = 0.0
    ) -> None:
        """`entities`: width of the entities' vectors; `features`, `bias`: the first w, float [F], and b."""
        super().__init__()
        self.labels, self.width = labels, WIDTH
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(hidden, labels + 2 * WIDTH)
        self.entities = nn.Linear(entities, WIDTH, bias=False)
        self.none = nn.Parameter(torch.zeros(WIDTH))
        self.features = nn.Parameter(features.clone())
        self.bias = nn.Parameter(torch.full((1,), bias))

    def forward(self, hidden_BTD: Tensor, batch: Batch) -> Tensor:
        """[N, L + 2P] for the N words of a batch: logits, first and last vectors."""
        assert batch.label_positions is not None
        read_ND = hidden_BTD.flatten(0, 1).index_select(0, batch.label_positions)
        words_NX: Tensor = self.dense(self.dropout(read_ND))
        return words_NX

    def scores(self, words_NX: Tensor, names: Names) -> tuple[Tensor, Tensor]:
        """Scores of the candidates, [K], and of no entity, [S], from the output of `forward`."""
        first_NP, last_NP = words_NX[:, self.labels :].chunk(2, dim=1)
        span_SP = first_NP[names.first] + last_NP[names.last]
        entities_KP = self.entities(names.vectors)
        similar_K = (span_SP[names.owners] * entities_KP).sum(1)
        return similar_K + names.features @ self.features + self.bias, span_SP @ self.none


WIDTH = 128
"""The width of the vectors whose products are compared."""


def table(scores_K: Tensor, none_S: Tensor, owners_K: Tensor) -> tuple[Tensor, Tensor]:
    """The scores of each name's candidates side by side, [S, 1 + C], that of no entity first, and the column of each
    candidate, [K]."""
    counts_S = torch.bincount(owners_K, minlength=len(none_S))
    starts_S = counts_S.cumsum(0) - counts_S
    column_K = torch.arange(len(owners_K), device=owners_K.device) - starts_S[owners_K] + 1
    wide = int(counts_S.max()) if len(counts_S) else 0
    logits_SC = scores_K.new_full((len(none_S), 1 + wide), -1e4)
    logits_SC[:, 0] = none_S
    logits_SC[owners_K, column_K] = scores_K
    return logits_SC, column_K


@dataclass(frozen=True)
class LinkCriterion:
    """Two terms: −ln p of the label of each word, and of the right candidate of each name, or of no entity."""

    label_smoothing: float = 0.0
    terms: tuple[str, ...] = ("labels", "entities")
    metrics: tuple[str, ...] = ()

    def counts(self, batch: Batch) -> Mapping[str, int]:
        """The numbers of labelled words and of names with a known meaning."""
        assert batch.labels is not None
        return {"labels": len(batch.labels), "entities": int((batch.extra["meant"] != IGNORED).sum())}

    def __call__(self, model: TaskModel[TrainableEncoder], batch: Batch) -> dict[str, Tensor]:
        """See `Criterion`."""
        assert batch.labels is not None
        assert isinstance(model.head, LinkHead)
        words_NX = model(batch)
        logits_NL, meant_S = words_NX[:, : model.head.labels], batch.extra["meant"]
        names = Names(*(batch.extra[name] for name in Names._fields))
        known = int((meant_S != IGNORED).sum())
        none = words_NX.sum() * 0.0
        if not len(logits_NL):
            return {"labels": none, "entities": none}
        labels = F.cross_entropy(logits_NL, batch.labels, label_smoothing=self.label_smoothing)
        if not known:
            return {"labels": labels, "entities": none}
        logits_SC, _ = table(*model.head.scores(words_NX, names), names.owners)
        return {"labels": labels, "entities": F.cross_entropy(logits_SC, meant_S, ignore_index=IGNORED)}
