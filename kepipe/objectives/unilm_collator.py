"""UniLM's collator: masks tokens, and draws the visibility of each batch (Dong et al. 2019, §2.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from kepipe.arrays import Bools, Floats
from kepipe.data.batch import Batch, TokenRows
from kepipe.objectives.base import Collator
from kepipe.objectives.losses import tensor

SEGMENTS = {"full": (0, 1), "causal": (2, 2), "backward": (3, 3), "prefix": (4, 5)}
"""Visibility → segment ids of source and target."""


@dataclass(frozen=True)
class UniLMCollator:
    """A `Collator`: the batches of `masked`, each under one of the visibilities of `weights` (name → weight)."""

    masked: Collator
    weights: Mapping[str, float]
    mode_segments: bool
    """Whether each visibility has its own segment ids (`SEGMENTS`)."""

    def __call__(self, rows: TokenRows, rng: np.random.Generator, progress: float) -> Batch:
        """See `Collator`."""
        share = np.array(list(self.weights.values()))
        mode = str(rng.choice(list(self.weights), p=share / share.sum()))
        draw_B = rng.random(len(rows.tokens))
        source_BT = split(rows, draw_B)
        if mode == "prefix":
            source_BT |= split_unrelated(rows, draw_B)
            rows = replace(rows, special=rows.special & ~last_tokens(rows))
        batch = self.masked(rows, rng, progress)
        segments = tensor(np.where(source_BT, *SEGMENTS[mode]))
        return replace(
            batch,
            visibility=mode,
            prefix=tensor(source_BT) if mode == "prefix" else None,
            segments=segments if self.mode_segments else batch.segments,
            next_sentence_labels=batch.next_sentence_labels if mode == "full" else None,
        )


def split(rows: TokenRows, draw_B: Floats) -> Bools:
    """The source of each row, bool [B, T].

    In a pair it is the first segment; otherwise the text before a uniformly drawn sentence (never the first); in a row
    of one sentence, the first half. `draw_B`: uniform draws in [0, 1).
    """
    if rows.next_sentence_labels is not None:
        first_BT: Bools = rows.segments == 0
        return first_BT
    return _before_a_sentence(rows, rows.documents > 0, draw_B)


def split_unrelated(rows: TokenRows, draw_B: Floats) -> Bools:
    """The beginning of the second segment in rows whose second segment does not follow the first, bool [B, T]. It is
    added to the source there.

    A target that does not follow its source would teach the model to ignore the source (in the paper the two segments
    of such a batch are always contiguous text, Dong et al. 2019, §2.3). So the source reaches into the second segment,
    and the target is the rest of it.
    """
    if rows.next_sentence_labels is None:
        return np.zeros(rows.tokens.shape, np.bool_)
    second_BT = (rows.documents > 0) & (rows.segments == 1) & (rows.next_sentence_labels == 0)[:, None]
    beginning_BT: Bools = second_BT & _before_a_sentence(rows, second_BT, draw_B)
    return beginning_BT


def _before_a_sentence(rows: TokenRows, part_BT: Bools, draw_B: Floats) -> Bools:
    """The places before a uniformly drawn sentence of each row's part (never its first sentence), bool [B, T]; if the
    part is one sentence, its first half."""
    places_T = np.arange(part_BT.shape[1])
    in_sentence_BT = part_BT & (rows.sentences >= 0)
    latest_B = np.where(in_sentence_BT, rows.sentences, 0).max(1)
    earliest_B = np.where(in_sentence_BT, rows.sentences, latest_B[:, None]).min(1)
    first_B = earliest_B + 1 + (draw_B * (latest_B - earliest_B)).astype(np.int64)
    target_BT = part_BT & (rows.sentences >= first_B[:, None])
    middle_B = part_BT.argmax(1) + part_BT.sum(1) // 2
    cut_B = np.where(target_BT.any(1), target_BT.argmax(1), middle_B)
    before_BT: Bools = places_T < cut_B[:, None]
    return before_BT


def last_tokens(rows: TokenRows) -> Bools:
    """The last token of each row, bool [B, T]: the target's [SEP], which is learned so that generation can end."""
    there_BT = rows.documents > 0
    last_BT: Bools = there_BT & (np.cumsum(there_BT, 1) == there_BT.sum(1, keepdims=True))
    return last_BT
