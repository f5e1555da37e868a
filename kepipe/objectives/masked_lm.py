"""Masked language modelling: some tokens are hidden, and the model predicts them. `mlm.py` has the settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kepipe.arrays import Bools, Ints
from kepipe.data.batch import Batch, TokenRows
from kepipe.noise.draws import Draws, RowDraws, Schedule, visit_seeds
from kepipe.noise.tokens import draw_replacements, replace
from kepipe.objectives.base import Objective
from kepipe.objectives.losses import LossSum, NextSentenceLoss, TokenLoss, tensor

if TYPE_CHECKING:
    from kepipe.objectives.mlm import Masking
    from kepipe.tokenization.tokenizer import Tokenizer

Select = Callable[[TokenRows, Draws, float], Bools]
"""(rows, draws, progress) → the tokens to predict, bool [B, T]."""


@dataclass(frozen=True)
class MaskedCollator:
    """BERT's masking (Devlin et al. 2019, §3.1). `select` chooses what is masked: tokens, words, phrases, entities.

    Of the selected tokens a share `mask_prob` becomes the mask, a share `random_prob` a random token; the rest stay.
    """

    select: Select
    mlm_probability: float
    mask: int
    ordinary: Ints
    """Ids of text, from which random tokens are drawn."""
    mask_prob: float = 0.8
    random_prob: float = 0.1
    schedule: Schedule = "dynamic"
    copies: int = 10
    """Number of different corruptions of an example, see `kepipe.noise.draws.visit_seeds`."""
    learns_row_labels: bool = True
    """Whether the next-sentence labels of rows are kept, if rows have any."""

    def __call__(self, rows: TokenRows, rng: np.random.Generator, progress: float) -> Batch:
        """See `Collator`."""
        return self.mask_rows(rows, self.draws(rows, rng), progress)

    def mask_rows(self, rows: TokenRows, draws: Draws, progress: float) -> Batch:
        """The rows with tokens masked: the selected ones, or those that rows mark as salient (Guu et al. 2020,
        §3.4)."""
        if rows.salient is None:
            selected_BT = self.select(rows, draws, progress)
            replacement_BT = draw_replacements(
                rows.tokens.shape, self.mask, self.ordinary, draws, self.mask_prob, self.random_prob
            )
        else:
            selected_BT, replacement_BT = rows.salient, np.full_like(rows.tokens, self.mask)
        labels = rows.next_sentence_labels
        return Batch(
            tokens=tensor(replace(rows.tokens, selected_BT, replacement_BT)),
            documents=tensor(rows.documents),
            segments=None if labels is None else tensor(rows.segments),
            label_positions=tensor(np.flatnonzero(selected_BT)),
            labels=tensor(rows.tokens[selected_BT]),
            next_sentence_labels=tensor(labels) if labels is not None and self.learns_row_labels else None,
        )

    def draws(self, rows: TokenRows, rng: np.random.Generator) -> Draws:
        """The source of randomness for these rows: the batch's generator, or one per example for a fixed schedule."""
        if self.schedule == "dynamic":
            return rng
        if rows.refs is None:
            raise ValueError(f"a {self.schedule} schedule needs rows with example indices (`refs`)")
        refs = rows.refs
        return RowDraws(
            visit_seeds(self.schedule, refs.examples, refs.times, seed=refs.seed, copies=self.copies)
        )


def masked_lm(
    select: Select, tokenizer: Tokenizer, section: Masking, learns_row_labels: bool, row_term: str = "nsp"
) -> Objective:
    """A masked-language-modelling objective: the loss `mlm` of the masked tokens and, for rows with labels, the loss
    `row_term` of these.

    Raises ValueError if the tokenizer has no mask token.
    """
    collator = MaskedCollator(
        select,
        section.mlm_probability,
        tokenizer.mask,
        tokenizer.ordinary,
        section.mask_prob,
        section.random_prob,
        section.schedule,
        section.copies,
        learns_row_labels,
    )
    return Objective(collator, LossSum(TokenLoss("mlm"), NextSentenceLoss(row_term)))
