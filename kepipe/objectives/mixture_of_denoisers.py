"""Masked language modelling under a visibility that is drawn for each batch (UniLM; Dong et al. 2019, §2.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from kepipe.arrays import Bools
from kepipe.data.batch import Batch, TokenRows
from kepipe.objectives.base import Collator
from kepipe.objectives.losses import tensor

SEGMENTS = {"full": (0, 1), "causal": (2, 2), "backward": (3, 3), "prefix": (4, 5)}
"""Segment ids of source and target in each mode."""


@dataclass(frozen=True)
class MixtureOfDenoisers:
    """`masked`, each batch under one of the visibilities that `weights` names."""

    masked: Collator
    weights: Mapping[str, float]
    mode_segments: bool
    """Whether the segment ids tell the modes apart."""

    def __call__(self, rows: TokenRows, rng: np.random.Generator, progress: float) -> Batch:
        """See `Collator`."""
        share = np.array(list(self.weights.values()))
        mode = str(rng.choice(list(self.weights), p=share / share.sum()))
        source_BT = split(rows, rng)
        if mode == "prefix":
            rows = replace(rows, special=rows.special & ~last_tokens(rows) | unrelated_pairs(rows))
        batch = self.masked(rows, rng, progress)
        segments = tensor(np.where(source_BT, *SEGMENTS[mode]))
        return replace(
            batch,
            visibility=mode,
            prefix=tensor(source_BT) if mode == "prefix" else None,
            segments=segments if self.mode_segments else batch.segments,
            next_sentence_labels=batch.next_sentence_labels if mode == "full" else None,
        )


def split(rows: TokenRows, rng: np.random.Generator) -> Bools:
    """The source of each row, bool [B, T].

    The first segment of a pair, else what stands before a sentence that is drawn uniformly (not the first), else,
    in a row of one sentence, the first half.
    """
    draw_B = rng.random(len(rows.tokens))
    if rows.next_sentence_labels is not None:
        first_BT: Bools = rows.segments == 0
        return first_BT
    first_B = 1 + (draw_B * np.maximum(rows.sentences.max(1), 1)).astype(np.int64)
    target_BT = rows.sentences >= first_B[:, None]
    half_B = (rows.documents > 0).sum(1) // 2
    cut_B = np.where(target_BT.any(1), target_BT.argmax(1), half_B)
    source_BT: Bools = np.arange(rows.tokens.shape[1]) < cut_B[:, None]
    return source_BT


def unrelated_pairs(rows: TokenRows) -> Bools:
    """Rows whose second segment does not follow the first, bool [B, 1].

    Nothing is asked of them from source to target: such a target says nothing of its source (there the segments of a
    pair are one stretch of text, Dong et al. 2019, §2.3), and would teach not to look at it.
    """
    if rows.next_sentence_labels is None:
        return np.zeros((len(rows.tokens), 1), np.bool_)
    no_pair_B1: Bools = rows.next_sentence_labels[:, None] == 0
    return no_pair_B1


def last_tokens(rows: TokenRows) -> Bools:
    """The last token of each row, bool [B, T]: the target's [SEP], which is learned so that generation can end."""
    there_BT = rows.documents > 0
    last_BT: Bools = there_BT & (np.cumsum(there_BT, 1) == there_BT.sum(1, keepdims=True))
    return last_BT
