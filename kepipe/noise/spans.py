"""T5's span corruption (Raffel et al. 2020, section 3.1.4): noise spans, each replaced by one sentinel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kepipe.arrays import Bools, Ints, pad, ranges
from kepipe.noise.draws import Draws

SHARE, MEAN = 0.15, 3.0


@dataclass(frozen=True)
class Collapsed:
    """`source` int [B, S] for the encoder and `target` int [B, U] for the decoder, padded; text is free of padding up
    to `source_lengths`, `target_lengths`: int [B]."""

    source: Ints
    target: Ints
    source_lengths: Ints
    target_lengths: Ints


def span_counts(text_B: Ints, share: float = SHARE, mean: float = MEAN) -> tuple[Ints, Ints]:
    """Number of noise tokens and noise spans of rows with `text_B` text tokens: round(0.15 n), round(noise / 3); int
    [B] each.

    Ties round to even, as in the release. At least one token is kept and one is noise; a row of one token has no noise.
    """
    noise_B = np.clip(np.rint(share * text_B), 1, np.maximum(text_B - 1, 0)).astype(np.int64)
    spans_B = np.maximum(np.rint(noise_B / mean), 1).astype(np.int64)
    return noise_B, np.minimum(spans_B, np.minimum(noise_B, text_B - noise_B))


def raw_length(source: int, share: float = SHARE, mean: float = MEAN) -> tuple[int, int]:
    """The maximum number of text tokens whose corrupted source, including its end token, fits into `source`; and the
    target's length.

    512 → (568, 114), as in the released code, whose targets lack the last sentinel of the paper's figure 2.
    """

    def lengths(text: int) -> tuple[int, int]:
        noise, spans = (int(count[0]) for count in span_counts(np.array([text]), share, mean))
        return text - noise + spans + 1, noise + spans + 1

    if source < 4:
        raise ValueError(f"a source of {source} tokens is too short for span corruption")
    text = 3
    while lengths(text + 1)[0] <= source:
        text += 1
    return text, lengths(text)[1]


def draw_spans(special_BT: Bools, draws: Draws, share: float = SHARE, mean: float = MEAN) -> Bools:
    """The noise mask, bool [B, T]: noise spans alternate with kept spans, starting with a kept one."""
    text_B = (~special_BT).sum(axis=1)
    noise_B, spans_B = span_counts(text_B, share, mean)
    stays_BS = draw_parts(text_B - noise_B, spans_B, draws)
    noise_BS = draw_parts(noise_B, spans_B, draws)
    return alternate(stays_BS, noise_BS, special_BT)


def draw_parts(items_B: Ints, parts_B: Ints, draws: Draws) -> Ints:
    """Partition `items` into `parts` non-empty parts, uniformly at random: part lengths, int [B, most parts]."""
    rows, most = len(items_B), int(parts_B.max(initial=0))
    if not most:
        return np.zeros((rows, 0), dtype=np.int64)
    widest = int(items_B.max())
    # Between n items there are n - 1 places to cut; those with the smallest keys are cut.
    keys = draws.random((rows, widest))
    keys[np.arange(widest) >= items_B[:, None] - 1] = np.inf
    last_B = np.take_along_axis(np.sort(keys, axis=1), np.maximum(parts_B - 2, 0)[:, None], axis=1)
    cut = (keys <= last_B) & (parts_B > 1)[:, None]
    part = np.zeros((rows, widest), dtype=np.int64)
    part[:, 1:] = np.cumsum(cut[:, :-1], axis=1)
    counted = np.arange(widest) < items_B[:, None]
    return np.bincount((part + most * np.arange(rows)[:, None])[counted], minlength=rows * most).reshape(
        rows, most
    )


def alternate(stays_BS: Ints, noise_BS: Ints, special_BT: Bools) -> Bools:
    """Alternate kept and noise spans over each row's text tokens; True on noise: bool [B, T]."""
    lengths = np.stack([stays_BS, noise_BS], axis=2).reshape(len(stays_BS), -1)
    corrupted_B = lengths.sum(axis=1) > 0
    places_BT = ~special_BT & corrupted_B[:, None]
    assert (lengths.sum(axis=1) == places_BT.sum(axis=1)).all(), "the parts cover the text"
    noise_BT = np.zeros(special_BT.shape, dtype=np.bool_)
    noise_BT[places_BT] = np.repeat(np.tile([False, True], lengths.size // 2), lengths.ravel())
    return noise_BT


def collapse_spans(
    tokens_BT: Ints, noise_BT: Bools, padding_BT: Bools, sentinels: Ints, *, pad_id: int, end_id: int
) -> Collapsed:
    """Each run of noise becomes a sentinel; the target is sentinel, run, …, a last sentinel and the end token.

    Tokens that are neither noise nor padding are kept in the source, which also ends with the end token, even if the
    row was cut from a longer text. Raises ValueError if a row has more noise spans than there are sentinels.
    """
    head_BT: Bools = noise_BT.copy()
    head_BT[:, 1:] &= ~noise_BT[:, :-1]
    runs_B = head_BT.sum(axis=1)
    if runs_B.max(initial=0) + 1 > len(sentinels):
        raise ValueError(
            f"{runs_B.max()} noise spans in a row need {runs_B.max() + 1} sentinel tokens, the tokenizer has "
            f"{len(sentinels)} (<extra_id_0>, …); shorten the rows, or train one with `kepipe tokenizer train`"
        )
    sentinel_BT = sentinels[np.cumsum(head_BT, axis=1) - 1]  # read at the heads alone
    kept_BT = ~padding_BT & (~noise_BT | head_BT)
    source_lengths = kept_BT.sum(axis=1)
    source = pad(np.where(head_BT, sentinel_BT, tokens_BT)[kept_BT], source_lengths, pad_id)
    source, source_lengths = end_rows(source, source_lengths, pad_id=pad_id, end_id=end_id)

    # A run's first token is written as two: its sentinel, then the token. Two tokens are added at the end of the row.
    noise_B = noise_BT.sum(axis=1)
    target_lengths = noise_B + runs_B + 2
    heads: Bools = head_BT[noise_BT]
    written = 1 + heads
    begins = np.cumsum(target_lengths) - target_lengths
    flat = np.empty(int(target_lengths.sum()), dtype=np.int64)
    places = ranges(begins, noise_B + runs_B)
    after = np.cumsum(written) - 1  # the output position of each noise token
    flat[places[after]] = tokens_BT[noise_BT]
    flat[places[after[heads] - 1]] = sentinel_BT[head_BT]
    flat[begins + noise_B + runs_B] = sentinels[runs_B]
    flat[begins + noise_B + runs_B + 1] = end_id
    return Collapsed(source, pad(flat, target_lengths, pad_id), source_lengths, target_lengths)


def end_rows(tokens_BS: Ints, lengths_B: Ints, *, pad_id: int, end_id: int) -> tuple[Ints, Ints]:
    """The padded rows with the end token at the end of each that lacks it, and their lengths."""
    # One more column on the right for the end token, and one on the left, which is read for an empty row.
    room_BS = np.pad(tokens_BS, ((0, 0), (1, 1)), constant_values=pad_id)
    row_B = np.arange(len(room_BS))
    lacks_B = room_BS[row_B, lengths_B] != end_id
    room_BS[row_B[lacks_B], 1 + lengths_B[lacks_B]] = end_id
    lengths_B = lengths_B + lacks_B
    return room_BS[:, 1 : 1 + int(lengths_B.max(initial=0))], lengths_B
