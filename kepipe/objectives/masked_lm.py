"""Masked language modelling: some tokens are hidden, and the model says what they were."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kepipe.arrays import Bools, Ints
from kepipe.data.batch import Batch, TokenRows
from kepipe.noise.draws import Draws, RowDraws, Schedule, visit_seeds
from kepipe.noise.tokens import draw_replacements, replace
from kepipe.objectives.base import Objective
from kepipe.objectives.losses import (
    PairModel,
    first_positions,
    gather_hidden,
    next_sentence_loss,
    tensor,
    token_loss,
)

if TYPE_CHECKING:
    from torch import Tensor

    from kepipe.objectives.mlm import Masking
    from kepipe.tokenization.tokenizer import Tokenizer

Select = Callable[[TokenRows, Draws, float], Bools]
"""(rows, draws, progress) → the tokens to predict, bool [B, T]."""


@dataclass(frozen=True)
class MaskedCollator:
    """Devlin et al. 2019, §3.1. `select` makes the variants: tokens, words, phrases, entities.

    Of the selected tokens a share `mask_prob` becomes the mask, a share `random_prob` another token; the rest stay.
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
    """How often the corruption of an example is drawn anew, see `kepipe.noise.draws.visit_seeds`."""
    judges_rows: bool = True
    """Whether the labels of rows are learned, where rows have any."""

    def __call__(self, rows: TokenRows, rng: np.random.Generator, progress: float) -> Batch:
        """See `Collator`."""
        return self.mask_rows(rows, self.draws(rows, rng), progress)

    def mask_rows(self, rows: TokenRows, draws: Draws, progress: float) -> Batch:
        """The rows with tokens hidden: those that are selected, or all that are salient (Guu et al. 2020, §3.4)."""
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
            next_sentence_labels=tensor(labels) if labels is not None and self.judges_rows else None,
        )

    def draws(self, rows: TokenRows, rng: np.random.Generator) -> Draws:
        """Where the corruption of these rows comes from, by the schedule."""
        if self.schedule == "dynamic":
            return rng
        if rows.refs is None:
            raise ValueError(f"a {self.schedule} schedule needs rows that know which examples they are")
        refs = rows.refs
        return RowDraws(
            visit_seeds(self.schedule, refs.examples, refs.times, seed=refs.seed, copies=self.copies)
        )


@dataclass(frozen=True)
class MaskedCriterion:
    """The loss of the hidden tokens and, where rows have labels, of these. `terms` names both."""

    terms: tuple[str, ...] = ("mlm", "nsp")
    metrics: tuple[str, ...] = ()

    def counts(self, batch: Batch) -> Mapping[str, int]:
        """Hidden tokens, and rows with a label where rows have one."""
        assert batch.labels is not None
        labels = batch.next_sentence_labels
        counts = [len(batch.labels)] + ([] if labels is None else [len(labels)])
        return dict(zip(self.terms, counts, strict=False))

    def __call__(self, model: PairModel, batch: Batch) -> dict[str, Tensor]:
        """See `Criterion`."""
        hidden_ND, first_BD = gather_hidden(model, batch, batch.label_positions, first_positions(batch))
        losses = [token_loss(model, hidden_ND, batch)]
        if batch.next_sentence_labels is not None:
            losses.append(next_sentence_loss(model, first_BD, batch))
        return dict(zip(self.terms, losses, strict=False))


def masked_lm(
    select: Select, tokenizer: Tokenizer, section: Masking, judges_rows: bool, row_term: str = "nsp"
) -> Objective:
    """A masked language model over a tokenizer's ids; `row_term` names the loss of the rows' labels.

    Raises ValueError where the tokenizer has no mask token.
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
        judges_rows,
    )
    return Objective(collator, MaskedCriterion(("mlm", row_term)))
