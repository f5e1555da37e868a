"""Building blocks of criteria: loss terms that read hidden states at given places of one forward pass.

A term states its places before the model runs. The terms of an objective, and those that a knowledge method adds, are
combined in a `LossSum`: the model runs once, and computes only the hidden states that are read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain, islice
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from kepipe.data.batch import Batch
from kepipe.training.criterion import Losses


class TokenModel(Protocol):
    """A model that predicts tokens at places."""

    def __call__(self, batch: Batch, positions_N: Tensor | None = None) -> Tensor:
        """Hidden states [N, D] at these places among the B·T of the side that predicts."""
        ...

    def token_loss(self, hidden_ND: Tensor, labels_N: Tensor) -> Tensor:
        """The sum over the places of −ln p(label)."""
        ...


class PairModel(TokenModel, Protocol):
    """A `TokenModel` with a next-sentence head."""

    def next_sentence(self, hidden_BTD: Tensor) -> Tensor:
        """Logits [B, 2]; column 1 says that the label is 1."""
        ...


def tensor(values: npt.NDArray[Any]) -> Tensor:
    """The values as an int64 tensor."""
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.int64))


class HiddenCriterion(ABC):
    """A `Criterion` that needs only hidden states at places from the forward pass."""

    @property
    @abstractmethod
    def terms(self) -> tuple[str, ...]:
        """See `Criterion`."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """See `Criterion`."""
        return ()

    @abstractmethod
    def counts(self, batch: Batch) -> Mapping[str, int]:
        """See `Criterion`."""

    @abstractmethod
    def positions(self, batch: Batch) -> tuple[Tensor, ...]:
        """The places that are read: one or several lists, int [N] each, among the B·T of the side that predicts."""

    @abstractmethod
    def losses(self, model: Any, hidden: tuple[Tensor, ...], batch: Batch) -> Losses:
        """The mean of each term and metric, from the hidden states [N, D] at each list of `positions`; 0, never NaN,
        for an empty list. Only the heads of `model` are used here: its forward pass is done.
        """

    def __call__(self, model: TokenModel, batch: Batch) -> Losses:
        """See `Criterion`: one forward pass."""
        positions = self.positions(batch.host)  # how many there are is known without waiting for a device
        hidden = torch.split(model(batch, torch.cat(positions)), [len(these) for these in positions])
        return self.losses(model, hidden, batch)


class LossTerm(HiddenCriterion):
    """A criterion of one term, the mean over one list of places. Subclasses define `name`, `places` and `mean`."""

    name: str

    @abstractmethod
    def places(self, batch: Batch) -> Tensor | None:
        """The places, int [N]; None: the term does not apply to this batch."""

    @abstractmethod
    def mean(self, model: Any, hidden_ND: Tensor, batch: Batch) -> Tensor:
        """The mean over the places, from the hidden states [N, D] there; 0 if there are none."""

    @property
    def terms(self) -> tuple[str, ...]:
        """See `Criterion`."""
        return (self.name,)

    def counts(self, batch: Batch) -> Mapping[str, int]:
        """See `Criterion`."""
        places = self.places(batch)
        return {} if places is None else {self.name: len(places)}

    def positions(self, batch: Batch) -> tuple[Tensor, ...]:
        """See `HiddenCriterion`."""
        places = self.places(batch)
        return () if places is None else (places,)

    def losses(self, model: Any, hidden: tuple[Tensor, ...], batch: Batch) -> Losses:
        """See `HiddenCriterion`."""
        return {self.name: self.mean(model, hidden_ND, batch) for hidden_ND in hidden}  # noqa: B035  # one or none


@dataclass(frozen=True)
class TokenLoss(LossTerm):
    """−ln p of `batch.labels` at `batch.label_positions`."""

    name: str

    def places(self, batch: Batch) -> Tensor:
        """See `LossTerm`."""
        assert batch.label_positions is not None
        return batch.label_positions

    def mean(self, model: TokenModel, hidden_ND: Tensor, batch: Batch) -> Tensor:
        """See `LossTerm`."""
        assert batch.labels is not None
        return model.token_loss(hidden_ND, batch.labels) / max(1, len(batch.labels))


@dataclass(frozen=True)
class NextSentenceLoss(LossTerm):
    """−ln p of `batch.next_sentence_labels` at each row's first place, where rows have such labels (Devlin et al. 2019,
    §3.1, task 2)."""

    name: str

    def places(self, batch: Batch) -> Tensor | None:
        """See `LossTerm`."""
        rows, length = batch.tokens.shape
        labelled = batch.next_sentence_labels is not None
        return length * torch.arange(rows, device=batch.tokens.device) if labelled else None

    def mean(self, model: PairModel, hidden_ND: Tensor, batch: Batch) -> Tensor:
        """See `LossTerm`."""
        assert batch.next_sentence_labels is not None
        return F.cross_entropy(model.next_sentence(hidden_ND[:, None]), batch.next_sentence_labels)


class LossSum(HiddenCriterion):
    """Several criteria over one forward pass."""

    def __init__(self, *parts: HiddenCriterion, weights: Mapping[str, float] = MappingProxyType({})) -> None:
        """`weights`: term → factor of its mean; 1 for terms that are not named.

        Raises ValueError if two parts have a term or metric of the same name.
        """
        self.parts, self.weights = parts, weights
        names = [*self.terms, *self.metrics]
        if len(set(names)) < len(names):
            raise ValueError(f"two parts of a loss have the same name: {', '.join(names)}")

    @property
    def terms(self) -> tuple[str, ...]:
        """See `Criterion`."""
        return tuple(chain.from_iterable(part.terms for part in self.parts))

    @property
    def metrics(self) -> tuple[str, ...]:
        """See `Criterion`."""
        return tuple(chain.from_iterable(part.metrics for part in self.parts))

    def counts(self, batch: Batch) -> Mapping[str, int]:
        """See `Criterion`."""
        return {name: count for part in self.parts for name, count in part.counts(batch).items()}

    def positions(self, batch: Batch) -> tuple[Tensor, ...]:
        """See `HiddenCriterion`."""
        return tuple(chain.from_iterable(part.positions(batch) for part in self.parts))

    def losses(self, model: Any, hidden: tuple[Tensor, ...], batch: Batch) -> Losses:
        """See `HiddenCriterion`."""
        states, means = iter(hidden), dict[str, Tensor]()
        for part in self.parts:
            means |= part.losses(model, tuple(islice(states, len(part.positions(batch)))), batch)
        return {
            name: mean * self.weights[name] if name in self.weights else mean for name, mean in means.items()
        }
