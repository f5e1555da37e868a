"""Sentence trees as flat rows: inserted branches, soft positions, and the branch and mention of each token.

Liu et al. 2020, "K-BERT", section 3.3. All arrays are integers of shape [B, T]; the visible matrix is not stored but
computed from `branch` and `mention` by `kepipe.nn.visibility.tree` when needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kepipe.arrays import Bools, Ints, ranges
from kepipe.data.batch import MentionSpans
from kepipe.knowledge.moved_rows import MovedRows


@dataclass(frozen=True)
class Branches:
    """N branches in order of their mentions, those of a mention best first.

    `mentions`: int [N], the mention index of a branch. `lengths`: int [N], its number of tokens (0: it is not
    inserted). `tokens`: int [Σ lengths], branch after branch.
    """

    mentions: Ints
    lengths: Ints
    tokens: Ints

    def __len__(self) -> int:
        return len(self.mentions)


@dataclass(frozen=True)
class InjectedRows(MovedRows):
    """A batch of trees; the owner of a branch is the last token of its mention.

    Int [B, T]: `positions`, the soft ones (0 on padding); `branch`, 0 on the sentence and on padding, 1, 2, … on the
    row's branches; `mention`, 1, 2, … on a mention and on its branches, else 0. `lengths`: int [B]. `kept`: bool [N],
    whether each branch was inserted.
    """

    positions: Ints
    branch: Ints
    mention: Ints
    lengths: Ints
    kept: Bools


@dataclass(frozen=True)
class TreeShape:
    """How branches are inserted into rows.

    `length`: maximum row length. The sentence has priority: if there is no room for all branches, whole branches are
    dropped, lowest rank first, at equal rank the rightmost first; only a sentence that is too long by itself is
    truncated. `upstream`: as in the released code, the flat row is truncated, so that branches push out the sentence.
    `positions`: the model's number of positions; a branch that would exceed it is dropped. `pad`: id of the padding
    token.

    `causal`, for a decoder: branches are inserted right *before* the last token of their mention instead of right after
    it, so that this token attends to them, and later tokens through it. Inserted after it, no token of the sentence
    would attend to them. Soft positions are the same.
    """

    length: int | None = None
    positions: int | None = None
    causal: bool = False
    upstream: bool = False
    pad: int = 0


def build_rows(
    tokens_BT: Ints,
    lengths_B: Ints,
    mentions: MentionSpans,
    branches: Branches,
    shape: TreeShape = TreeShape(),
) -> InjectedRows:
    """Insert branches into right-padded rows; [B, T_in] → [B, T].

    A branch follows its mention (hard order), and its soft positions continue from the mention's last token, while
    those of the sentence are numbered as if there were no branch.
    """
    length, upstream = shape.length, shape.upstream
    B, T_in = tokens_BT.shape
    text_lengths_B = lengths_B if upstream or length is None else np.minimum(lengths_B, length)
    kept = _fit(mentions, branches, text_lengths_B, None if upstream else length, shape.positions)
    branch_mentions = branches.mentions[kept]
    rows, last, sizes = (
        mentions.rows[branch_mentions],
        mentions.stop[branch_mentions] - 1,
        branches.lengths[kept],
    )
    gaps = (
        last if shape.causal else last + 1
    )  # index of the sentence's token before which the branches are inserted

    inserted = (
        np.bincount(rows * (T_in + 1) + gaps, sizes, B * (T_in + 1)).astype(np.int64).reshape(B, T_in + 1)
    )
    before = np.cumsum(inserted, axis=1)  # number of branch tokens before each token of the sentence
    lengths_with_branches_B = text_lengths_B + inserted.sum(1)
    T = int(lengths_with_branches_B.max(initial=0))
    is_text_BT = np.arange(T_in) < text_lengths_B[:, None]
    places = np.where(is_text_BT, np.arange(T_in) + before[:, :T_in], -1)

    sentence = (np.arange(B)[:, None] * T + places)[is_text_BT]
    own = np.nonzero(is_text_BT)[1]
    ahead = _ahead(branch_mentions, sizes)  # number of tokens of earlier branches of the same mention
    starts = rows * T + gaps + before[rows, gaps] - inserted[rows, gaps] + ahead
    branch_columns = ranges(starts, sizes)

    def fill(of_sentence: npt.NDArray[Any], of_branches: npt.NDArray[Any], padding: int) -> Ints:
        flat = np.full(B * T, padding, np.int64)
        flat[sentence], flat[branch_columns] = of_sentence, of_branches
        return flat.reshape(B, T)

    mention_of = _number(mentions.rows)
    mention = _mention_ids(mentions, np.unique(branch_mentions), mention_of, (B, T_in))
    injected = InjectedRows(
        tokens=fill(tokens_BT[is_text_BT], branches.tokens[np.repeat(kept, branches.lengths)], shape.pad),
        positions=fill(own, ranges(last + 1, sizes), 0),
        branch=fill(np.zeros_like(own), np.repeat(_number(rows), sizes), 0),
        mention=fill(mention[is_text_BT], np.repeat(mention_of[branch_mentions], sizes), 0),
        owner=fill(own, np.repeat(last, sizes), -1),
        lengths=lengths_with_branches_B,
        places=places,
        kept=kept,
    )
    return _cut(injected, length) if upstream and length is not None else injected


def _mention_ids(mentions: MentionSpans, carrying: Ints, number_M: Ints, shape: tuple[int, int]) -> Ints:
    """The mention number of each token of a mention with branches, else 0: int [B, T_in]."""
    mention = np.zeros(shape, np.int64)
    first, sizes = mentions.first[carrying], mentions.stop[carrying] - mentions.first[carrying]
    places = ranges(mentions.rows[carrying] * shape[1] + first, sizes)
    mention.ravel()[places] = np.repeat(number_M[carrying], sizes)
    return mention


def _fit(
    mentions: MentionSpans, branches: Branches, whole_B: Ints, length: int | None, positions: int | None
) -> Bools:
    """The branches for which there is room, bool [N]."""
    rows, stops = mentions.rows[branches.mentions], mentions.stop[branches.mentions]
    kept: Bools = (stops <= whole_B[rows]) & (branches.lengths > 0)
    if positions is not None:
        kept &= stops + branches.lengths <= positions
    if length is None:
        return kept
    order = np.lexsort((branches.mentions, _number(branches.mentions), rows))
    sizes = np.where(kept, branches.lengths, 0)[order]
    used = np.cumsum(sizes)
    of_row = rows[order]
    begins = np.searchsorted(of_row, np.arange(len(whole_B)))
    used -= (used - sizes)[np.minimum(begins, max(len(used) - 1, 0))][of_row] if len(used) else 0
    kept[order] &= used <= length - whole_B[of_row]
    return kept


def _number(groups: Ints) -> Ints:
    """1, 2, … within each run of equal values."""
    at = np.arange(len(groups))
    begins = np.flatnonzero(np.diff(groups, prepend=-1))
    return at - np.repeat(begins, np.diff(begins, append=len(groups))) + 1


def _ahead(groups: Ints, sizes: Ints) -> Ints:
    """The sum of the preceding sizes within each run of equal groups."""
    before = np.cumsum(sizes) - sizes
    begins = np.flatnonzero(np.diff(groups, prepend=-1))
    return before - np.repeat(before[begins], np.diff(begins, append=len(groups)))


def _cut(injected: InjectedRows, length: int) -> InjectedRows:
    """Flat rows truncated at `length`, even within a branch."""
    columns = {
        name: getattr(injected, name)[:, :length]
        for name in ("tokens", "positions", "branch", "mention", "owner")
    }
    return InjectedRows(
        **columns,
        lengths=np.minimum(injected.lengths, length),
        places=np.where(injected.places < length, injected.places, -1),
        kept=injected.kept,
    )
