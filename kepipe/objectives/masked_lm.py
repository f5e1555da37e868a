"""Masked language modelling: some tokens are hidden, and the model says what they were."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from kepipe.arrays import Bools, Ints
from kepipe.data.batch import Batch, TokenRows
from kepipe.models.entities import attach
from kepipe.noise.draws import Draws, RowDraws, Schedule, visit_seeds
from kepipe.noise.tokens import draw_replacements, replace
from kepipe.objectives.losses import first_places, gather_hidden, next_sentence_loss, tensor, token_loss

if TYPE_CHECKING:
    from kepipe.models.transformer import Transformer
    from kepipe.objectives.mlm import Masking
    from kepipe.tokenization.tokenizer import Tokenizer

Select = Callable[[TokenRows, Draws, float], Bools]
"""(sequences, draws, progress) → the tokens to predict, bool [B, T]."""


@dataclass(frozen=True)
class MaskedLM:
    """Devlin et al. 2019, §3.1. `select` makes the variants: tokens, words, phrases, entities.

    Of the selected tokens a share `masked` becomes the mask, a share `random` another token; the rest stay.
    """

    select: Select
    mask: int
    ordinary: Ints
    """Ids of text, from which random tokens are drawn."""
    masked: float = 0.8
    random: float = 0.1
    schedule: Schedule = "dynamic"
    copies: int = 10
    """How often the corruption of an example is drawn anew, see `kepipe.noise.draws.visit_seeds`."""
    judge: bool = True
    """Whether to learn, where rows have a label `next_sentence_labels`, to tell which."""
    terms: tuple[str, ...] = ("mlm", "nsp")
    """Names of the losses of the hidden tokens and of the rows' labels."""

    def corrupt(self, rows: TokenRows, rng: np.random.Generator, progress: float) -> Batch:
        """See `Objective.corrupt`."""
        batch = self.hide(rows, self.draws(rows, rng), progress)
        if rows.links is None or rows.vectors is None:
            return batch
        return attach(batch, rows.links, rows.vectors)

    def hide(self, rows: TokenRows, draws: Draws, progress: float) -> Batch:
        """The rows with tokens hidden, without entities."""
        selected_BT = self.select(rows, draws, progress)
        replacement_BT = draw_replacements(
            rows.tokens.shape, self.mask, self.ordinary, draws, self.masked, self.random
        )
        return Batch(
            tokens=tensor(replace(rows.tokens, selected_BT, replacement_BT)),
            documents=tensor(rows.documents),
            segments=None if rows.next_sentence_labels is None else tensor(rows.segments),
            label_positions=tensor(np.flatnonzero(selected_BT)),
            labels=tensor(rows.tokens[selected_BT]),
            next_sentence_labels=tensor(rows.next_sentence_labels)
            if rows.next_sentence_labels is not None and self.judge
            else None,
        )

    def counts(self, batch: Batch) -> Mapping[str, int]:
        """Hidden tokens, and rows with a label where rows have one."""
        assert batch.labels is not None
        counts = [len(batch.labels)] + (
            [] if batch.next_sentence_labels is None else [len(batch.next_sentence_labels)]
        )
        return dict(zip(self.terms, counts, strict=False))

    def loss(self, model: Transformer, batch: Batch) -> dict[str, Tensor]:
        """See `Objective.loss`."""
        hidden_ND, first_BD = gather_hidden(model, batch, batch.label_positions, first_places(batch))
        losses = [token_loss(model, hidden_ND, batch)]
        if batch.next_sentence_labels is not None:
            losses.append(next_sentence_loss(model, first_BD, batch))
        return dict(zip(self.terms, losses, strict=False))

    def draws(self, rows: TokenRows, rng: np.random.Generator) -> Draws:
        """Where the corruption of these rows comes from, by the schedule."""
        if self.schedule == "dynamic":
            return rng
        if rows.refs is None:
            raise ValueError(f"a {self.schedule} schedule needs rows that know which examples they are")
        seen = rows.refs
        return RowDraws(
            visit_seeds(self.schedule, seen.examples, seen.times, seed=seen.seed, copies=self.copies)
        )


def masked_lm(
    select: Select, tokenizer: Tokenizer, section: Masking, judge: bool, judged: str = "nsp"
) -> MaskedLM:
    """A masked language model over a tokenizer's ids. Raises ValueError where it has no mask token."""
    return MaskedLM(
        select,
        tokenizer.mask,
        tokenizer.ordinary,
        section.masked,
        section.random,
        section.schedule,
        section.copies,
        judge,
        ("mlm", judged),
    )
