"""GloVe (Pennington, Socher & Manning 2014): word vectors whose dot products approximate the logarithms of
co-occurrence counts.

    J = Σ_ij f(X_ij) (w_i · c_j + b_i + d_j − log X_ij)²,    f(x) = min(1, (x / x_max)^α)            (eq. 8, 9)

over the pairs with X_ij > 0. As in the authors' release, AdaGrad uses the gradient of J / 2, its sums of squares begin
at 1, and a word's vector is w_i + c_i (§4.2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from kepipe.arrays import Floats32
from kepipe.models.static.cooccurrences import Cooccurrences, Pairs

BATCH = 8192
"""Pairs per update. Each row's gradients are summed over the batch."""


def weight(counts: Tensor, x_max: float, alpha: float) -> Tensor:
    """f(X), eq. 9."""
    return (counts / x_max).pow(alpha).clamp(max=1.0)


@dataclass
class Side:
    """The vectors of words, or of contexts, [W, D + 1], with the bias last; and AdaGrad's sums of squares."""

    table: Tensor
    squares: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.squares = torch.ones_like(self.table)

    def step(self, rows_N: Tensor, gradients_NE: Tensor, rate: float) -> None:
        """AdaGrad (Duchi et al. 2011) on the rows of a batch. If a row occurs several times, its gradients are summed,
        and so are the squares of each, as in sequential updates."""
        rows_R, place_N = torch.unique(rows_N, return_inverse=True)
        gradient_RE = gradients_NE.new_zeros(len(rows_R), gradients_NE.shape[1])
        gradient_RE.index_add_(0, place_N, gradients_NE)
        squares_RE = torch.zeros_like(gradient_RE).index_add_(0, place_N, gradients_NE.square())
        squares_RE += self.squares[rows_R]
        self.squares[rows_R] = squares_RE
        self.table[rows_R] -= rate * gradient_RE / squares_RE.sqrt()


@dataclass(frozen=True)
class Glove:
    """The model: words, contexts, and the weighting of pairs."""

    words: Side
    contexts: Side
    x_max: float
    alpha: float

    @classmethod
    def initialise(cls, words: int, hidden: int, x_max: float, alpha: float, seed: int) -> Glove:
        """Initial values uniform in ±1/2, divided by the dimension, as in the release."""
        generator = torch.Generator().manual_seed(seed)
        first, second = (
            Side((torch.rand(words, hidden + 1, generator=generator) - 0.5) / hidden) for _ in range(2)
        )
        return cls(first, second, x_max, alpha)

    def errors(self, first_N: Tensor, second_N: Tensor, counts_N: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """w and c of each pair, [N, D + 1], and w · c + b + d − log X, [N]."""
        w_NE, c_NE = self.words.table[first_N], self.contexts.table[second_N]
        product_N = (w_NE[:, :-1] * c_NE[:, :-1]).sum(1)
        return w_NE, c_NE, product_N + w_NE[:, -1] + c_NE[:, -1] - counts_N.log()

    def gradients(self, first_N: Tensor, second_N: Tensor, counts_N: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Each pair's term of J, [N], and the gradients of J / 2 by its w and b, and by its c and d, [N, D + 1]."""
        w_NE, c_NE, error_N = self.errors(first_N, second_N, counts_N)
        weight_N = weight(counts_N, self.x_max, self.alpha)
        weighted_N = weight_N * error_N
        by_w_NE, by_c_NE = c_NE * weighted_N[:, None], w_NE * weighted_N[:, None]
        by_w_NE[:, -1] = by_c_NE[:, -1] = weighted_N
        return weighted_N * error_N, by_w_NE, by_c_NE

    def learn(self, pairs: Pairs, order_N: Tensor, rate: float) -> float:
        """One pass over pairs in this order. Returns the sum of their terms in J, each before its update."""
        loss = 0.0
        for batch in torch.split(order_N, BATCH):
            first_N, second_N, counts_N = (
                torch.from_numpy(column)[batch] for column in (pairs.first, pairs.second, pairs.counts)
            )
            loss_N, by_w_NE, by_c_NE = self.gradients(first_N, second_N, counts_N)
            self.words.step(first_N, by_w_NE, rate)
            self.contexts.step(second_N, by_c_NE, rate)
            loss += float(loss_N.sum(dtype=torch.float64))
        return loss

    def vectors(self) -> Floats32:
        """w + c, float [W, D]."""
        summed: Floats32 = (self.words.table + self.contexts.table)[:, :-1].numpy()
        return summed


def train(
    model: Glove,
    counted: Cooccurrences,
    epochs: int,
    rate: float,
    seed: int,
    tick: Callable[[], None] = lambda: None,
) -> list[float]:
    """Train for `epochs` passes over all pairs, each in another order; `tick` is called after each. Returns J / pairs
    of each."""
    losses = []
    for epoch in range(epochs):
        generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
        loss, number = 0.0, 0
        for part in torch.randperm(counted.files, generator=generator).tolist():
            pairs = counted.part(part)
            loss += model.learn(pairs, torch.randperm(len(pairs), generator=generator), rate)
            number += len(pairs)
        losses.append(loss / max(1, number))
        tick()
    return losses
