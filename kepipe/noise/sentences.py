"""BART's corruptions (Lewis et al. 2020, section 2.2), in any combination: permute → mask, delete, infill → rotate.

They are applied to rows of text without special tokens, which are removed before and added again afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from kepipe.arrays import Bools, Floats, Ints, pad
from kepipe.noise.draws import Draws
from kepipe.noise.infilling import draw_infilling, infill
from kepipe.noise.units import select_units

if TYPE_CHECKING:
    from kepipe.data.batch import TokenRows


@dataclass(frozen=True)
class Text:
    """Rows of text without special tokens: `tokens`, `words`, `sentences` int [B, T]; `lengths` int [B].

    `words` and `sentences` number the units of a row in order of appearance, −1 beyond the row's length.
    """

    tokens: Ints
    words: Ints
    sentences: Ints
    lengths: Ints


@dataclass(frozen=True)
class Denoising:
    """The strength of each corruption. Defaults are those of the published model: permutation and infilling.

    `mask`, `delete`, `infill`: share of the words. `permute`, `rotate`: share of the rows.
    """

    permute: float = 1.0
    mask: float = 0.0
    delete: float = 0.0
    infill: float = 0.3
    mean_span: float = 3.0
    rotate: float = 0.0

    def __post_init__(self) -> None:
        for name in ("permute", "mask", "delete", "infill", "rotate"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: a share lies between 0 and 1, found {getattr(self, name)}")
        if self.mean_span <= 0:
            raise ValueError(f"mean_span: expected a length above 0, found {self.mean_span}")


def take_text(rows: TokenRows) -> Text:
    """The rows of a batch without special tokens and padding."""
    text_BT = ~rows.special
    lengths = text_BT.sum(axis=1)
    columns = (rows.tokens, rows.units["word"], rows.sentences)
    tokens, words, sentences = (pad(column[text_BT], lengths, -1) for column in columns)
    return Text(tokens, words, sentences, lengths)


def corrupt(text: Text, noise: Denoising, mask: int, draws: Draws) -> tuple[Ints, Ints]:
    """The corrupted rows, padded with −1, and their lengths: int [B, S], int [B]. The target is the original."""
    if noise.permute > 0:
        text = permute(text, draw_keys(text, noise.permute, draws))
    if noise.mask > 0:
        text = replace(text, tokens=np.where(select_units(text.words, draws, noise.mask), mask, text.tokens))
    if noise.delete > 0:
        text = delete(text, select_units(text.words, draws, noise.delete))
    tokens, lengths = text.tokens, text.lengths
    if noise.infill > 0:
        words_B = text.words.max(axis=1, initial=-1) + 1
        starts, sizes = draw_infilling(words_B, noise.infill, noise.mean_span, draws)
        tokens, lengths = infill(text.tokens, text.words, starts, sizes, mask)
    if noise.rotate > 0:
        tokens = rotate(tokens, lengths, draw_offsets(lengths, noise.rotate, draws))
    return tokens, lengths


def hide_span(text: Text, span_N: Bools, mask: int) -> tuple[Ints, Ints]:
    """The rows with one mask in place of one span per row, padded with −1, and their lengths: int [B, S], int [B].

    `span_N`: the spans, over the concatenated tokens of all rows, bool [N]; none is empty.
    """
    inside_BT = np.arange(text.tokens.shape[1]) < text.lengths[:, None]
    span_BT = np.zeros(inside_BT.shape, np.bool_)
    span_BT[inside_BT] = span_N
    first_BT = span_BT.copy()
    first_BT[:, 1:] &= ~span_BT[:, :-1]
    kept_BT = inside_BT & (~span_BT | first_BT)
    lengths = kept_BT.sum(axis=1)
    return pad(np.where(first_BT, mask, text.tokens)[kept_BT], lengths, -1), lengths


def frame(tokens_BS: Ints, lengths_B: Ints, *, begin: int | None, end: int, pad_id: int) -> Ints:
    """Rows of text with the special tokens around them and padding after them: int [B, S + 1 or 2]."""
    lead = int(begin is not None)
    rows, width = tokens_BS.shape
    framed = np.full((rows, width + lead + 1), pad_id, dtype=np.int64)
    inside = np.arange(width) < lengths_B[:, None]
    framed[:, lead : lead + width][inside] = tokens_BS[inside]
    if begin is not None:
        framed[:, 0] = begin
    framed[np.arange(rows), lengths_B + lead] = end
    return framed


def draw_keys(text: Text, share: float, draws: Draws) -> Floats:
    """A random sort key for each sentence; in rows that are not permuted, its index: float [B, sentences]."""
    count = int(text.sentences.max(initial=-1)) + 1
    keys = draws.random((len(text.tokens), count))
    permuted_B = draws.random((len(text.tokens), 1)) < share
    return np.where(permuted_B, keys, np.arange(count))


def permute(text: Text, keys_BS: Floats) -> Text:
    """The sentences of each row in the order of their keys."""
    if not keys_BS.shape[1]:
        return text
    keys_BT = np.take_along_axis(keys_BS, np.maximum(text.sentences, 0), axis=1)
    keys_BT[text.sentences < 0] = np.inf
    return _reorder(text, np.argsort(keys_BT, axis=1, kind="stable"))


def delete(text: Text, gone_BT: Bools) -> Text:
    """The rows without the marked tokens."""
    kept = ~gone_BT & (np.arange(text.tokens.shape[1]) < text.lengths[:, None])
    lengths = kept.sum(axis=1)
    columns = (text.tokens, text.words, text.sentences)
    tokens, words, sentences = (pad(column[kept], lengths, -1) for column in columns)
    return Text(tokens, _renumber(words), _renumber(sentences), lengths)


def draw_offsets(lengths_B: Ints, share: float, draws: Draws) -> Ints:
    """The token each row starts with after rotation, uniform over its text; 0 in rows that are not rotated."""
    u_B, chosen_B = draws.random((len(lengths_B), 2)).T
    return np.where(chosen_B < share, (u_B * lengths_B).astype(np.int64), 0)


def rotate(tokens_BT: Ints, lengths_B: Ints, offset_B: Ints) -> Ints:
    """Each row's text rotated to start at its offset."""
    column = np.arange(tokens_BT.shape[1])
    turned = (column + offset_B[:, None]) % np.maximum(lengths_B, 1)[:, None]
    return np.take_along_axis(tokens_BT, np.where(column < lengths_B[:, None], turned, column), axis=1)


def _reorder(text: Text, order_BT: Ints) -> Text:
    tokens, words, sentences = (
        np.take_along_axis(column, order_BT, axis=1) for column in (text.tokens, text.words, text.sentences)
    )
    return Text(tokens, _renumber(words), _renumber(sentences), text.lengths)


def _renumber(units_BT: Ints) -> Ints:
    """Number the runs of equal units of each row from 0; −1 stays."""
    if not units_BT.shape[1]:
        return units_BT
    changes = np.zeros(units_BT.shape, dtype=np.int64)
    changes[:, 1:] = units_BT[:, 1:] != units_BT[:, :-1]
    return np.where(units_BT >= 0, np.cumsum(changes, axis=1), -1)
