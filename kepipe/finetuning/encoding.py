"""Examples → rows: tokenise, align the spans, insert markers, truncate, add [CLS] and [SEP]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from kepipe.arrays import Bools, Ints
from kepipe.data.alignment import stream_offsets
from kepipe.data.document import Mention, Span
from kepipe.finetuning.examples import Example
from kepipe.finetuning.rows import EntitySpan, Reads, Row
from kepipe.tokenization.tokenizer import Tokenizer


@dataclass(frozen=True)
class RowFormat:
    """The input format of a model.

    `begin`: whether rows begin with [CLS] (not for GPT and T5, where the head reads the last token). `markers`: ids of
    the marker tokens around span 0, 1, …; empty: no markers. `reads`: which tokens the head reads: those of the spans
    (their opening markers), that of the row ([CLS] or the last), or that of every word. `causal`: a token attends only
    to the left, so closing markers and last tokens are read. `segments`: the number of segment ids of the model.
    `overlap`: a text longer than `length` becomes several rows, windows that share this many tokens; None: it is
    truncated.
    """

    tokenizer: Tokenizer
    length: int
    reads: Reads
    markers: tuple[int, ...] = ()
    begin: bool = True
    causal: bool = False
    segments: int = 2
    overlap: int | None = None


@dataclass
class TruncationStats:
    """Counts of what did not fit: truncated rows, words of tagging lost by truncation (`words_cut`), words without a
    token (such as control characters), mentions, mentions with tokens of their own (`mentions_aligned`), and read
    positions cut off after knowledge injection moved tokens. `windows`: the number of rows beyond one per example."""

    rows: int = 0
    cut: int = 0
    words_cut: int = 0
    words_empty: int = 0
    mentions: int = 0
    mentions_aligned: int = 0
    read_cut_off: int = 0
    windows: int = 0


class Text(NamedTuple):
    """A tokenised text: token ids int [T]; token spans of `spans` and `mentions`, [n, 2], start and stop (a word
    without a token: 0, 0); ids of the mentions' entities. `characters`: start and stop offsets of each token, int [T,
    2]."""

    tokens: Ints
    spans: Ints
    mentions: Ints
    entities: Sequence[str]
    characters: Ints


def encode_rows(
    examples: Sequence[Example], row_format: RowFormat, stats: TruncationStats | None = None
) -> list[Row]:
    """A row for each example, or its windows in order, without labels. Truncation is counted in `stats`.

    Raises ValueError if `length` is too small for the special tokens and markers.
    """
    stats = TruncationStats() if stats is None else stats
    room = row_format.length - row_format.begin - 1 - 2 * len(row_format.markers)
    if room < 2 * max(1, len(row_format.markers)):
        raise ValueError(
            f"length: {row_format.length} tokens leave no room for a text between the special tokens"
        )
    words = row_format.reads == "words"
    firsts = _texts([_space_words(e) if words else e for e in examples], row_format.tokenizer, words=words)
    paired = any(example.second for example in examples)
    seconds = _texts([_second(example) for example in examples], row_format.tokenizer) if paired else []
    rows = []
    for place, first in enumerate(firsts):
        if paired:
            example_rows = _pairs(first, seconds[place], row_format, room - 1, stats)
        else:
            stats.words_empty += int(words) * int((first.spans[:, 1] <= first.spans[:, 0]).sum())
            example_rows = [
                _single(window, row_format, room, stats) for window in _windows(first, row_format, room)
            ]
        rows += [replace(row, example=place) for row in example_rows]
    stats.rows += len(rows)
    stats.windows += len(rows) - len(examples)
    stats.mentions += sum(len(e.mentions) + len(e.second_mentions) for e in examples)
    stats.mentions_aligned += sum(len(row.mentions) for row in rows)
    return rows


def _space_words(example: Example) -> Example:
    """The words joined by spaces, so that no token covers two of them ("2 0 1 7"), with shifted mentions."""
    starts = np.array([span.start for span in example.spans])
    sizes = np.array([span.end - span.start for span in example.spans])
    moved = np.cumsum(sizes + 1) - (sizes + 1)

    def move(mention: Mention) -> Mention:
        first, last = (
            max(0, int(np.searchsorted(starts, at, side="right")) - 1)
            for at in (mention.start, mention.end - 1)
        )
        return replace(mention, start=int(moved[first]), end=int(moved[last] + sizes[last]))

    return replace(
        example,
        text=" ".join(example.text[span.start : span.end] for span in example.spans),
        spans=tuple(
            Span(start, start + size) for start, size in zip(moved.tolist(), sizes.tolist(), strict=True)
        ),
        mentions=tuple(map(move, example.mentions)),
    )


def _second(example: Example) -> Example:
    return Example(example.id, example.second, mentions=example.second_mentions)


def _texts(examples: Sequence[Example], tokenizer: Tokenizer, *, words: bool = False) -> list[Text]:
    """Tokenise all texts and align spans and mentions, with one vectorised search over the concatenated texts.

    A span without a token gets the following token, unless spans are `words`, which have one label each.
    """
    texts = [example.text for example in examples]
    encoded = tokenizer.encode(texts)
    codes = np.frombuffer("".join(texts).encode("utf-32-le"), dtype=np.uint32)
    sizes = np.fromiter(map(len, texts), np.int64, len(texts))
    bases = np.cumsum(sizes) - sizes
    starts, ends = stream_offsets(encoded, bases, codes)
    opens = np.cumsum(encoded.lengths) - encoded.lengths

    def place(spans: Sequence[Sequence[Span] | Sequence[Mention]]) -> list[Ints]:
        counts = np.fromiter(map(len, spans), np.int64, len(spans))
        flat = np.array([(s.start, s.end) for group in spans for s in group], np.int64).reshape(-1, 2)
        flat += np.repeat(bases, counts)[:, None]
        offset, size = np.repeat(opens, counts), np.repeat(encoded.lengths, counts)
        first = np.searchsorted(ends, flat[:, 0], side="right") - offset
        stop = np.searchsorted(starts, flat[:, 1], side="left") - offset
        empty = stop <= first
        first, stop = np.clip(first, 0, np.maximum(size - 1, 0)), np.clip(stop, 0, size)
        if words:
            first[empty] = stop[empty] = 0
        return np.split(np.stack([first, stop], axis=1), np.cumsum(counts)[:-1])

    tokens = np.split(encoded.tokens, np.cumsum(encoded.lengths)[:-1])
    spans, mentions = place([e.spans for e in examples]), place([e.mentions for e in examples])
    if not words:
        for found, piece in zip(spans, tokens, strict=True):
            found[:, 1] = np.maximum(found[:, 1], np.minimum(found[:, 0] + 1, len(piece)))
    entities = [[mention.entity for mention in e.mentions] for e in examples]
    of_text = np.repeat(bases, encoded.lengths)
    characters = np.split(
        np.stack([starts - of_text, ends - of_text], axis=1), np.cumsum(encoded.lengths)[:-1]
    )
    return [Text(*parts) for parts in zip(tokens, spans, mentions, entities, characters, strict=True)]


def window_starts(length: int, room: int, overlap: int | None) -> list[int]:
    """Start offsets of the windows of `room` tokens over a text of `length` tokens; [0] if it fits or is truncated.

    Consecutive windows share `overlap` tokens, at most half of a window; the last window ends at the end of the text.
    """
    if overlap is None or length <= room:
        return [0]
    step = max(1, room - min(overlap, room // 2))
    return [*range(0, length - room, step), length - room]


def _windows(text: Text, row_format: RowFormat, room: int) -> list[Text]:
    starts = window_starts(len(text.tokens), room, row_format.overlap)
    if len(starts) == 1:
        return [text]
    return [_window(text, start, start + room) for start in starts]


def _window(text: Text, start: int, stop: int) -> Text:
    """Tokens start … stop − 1. A word that starts before `start` belongs to an earlier window."""
    places = np.arange(len(text.tokens))
    spans = np.where(text.spans[:, :1] < start, 0, text.spans)
    return cut(text._replace(spans=spans), (places >= start) & (places < stop))


def _single(text: Text, row_format: RowFormat, room: int, stats: TruncationStats) -> Row:
    read_N = text.spans[:, 1] > text.spans[:, 0]
    if len(text.tokens) > room:
        stats.cut += 1
        text = cut(
            text, keep_nearest(len(text.tokens), text.spans if row_format.reads == "spans" else None, room)
        )
    words = None
    if row_format.reads == "words":
        kept_N = text.spans[:, 1] > text.spans[:, 0]
        stats.words_cut += int((read_N & ~kept_N).sum())
        numbers = np.flatnonzero(kept_N)
        if len(numbers) and numbers[-1] >= len(numbers):
            words = tuple(numbers.tolist())
        text = text._replace(spans=text.spans[kept_N])
    text, openings, closings = insert_markers(text, row_format.markers)
    begin = int(row_format.begin)
    tokens = np.concatenate([np.full(begin, _cls(row_format)), text.tokens, [row_format.tokenizer.sep]])
    if row_format.reads == "row":
        read_positions = np.array([0 if row_format.begin else len(tokens) - 1])
    elif row_format.markers:
        read_positions = begin + (closings if row_format.causal else openings)
    else:
        read_positions = begin + (
            np.maximum(text.spans[:, 1] - 1, 0) if row_format.causal else text.spans[:, 0]
        )
    return Row(
        tokens,
        np.zeros(len(tokens), np.int64),
        tuple(read_positions.tolist()),
        _named(text, begin),
        words=words,
    )


def _pairs(first: Text, second: Text, row_format: RowFormat, room: int, stats: TruncationStats) -> list[Row]:
    """[CLS] first [SEP] second [SEP]: the longer text is truncated first (as in Devlin et al. 2019); with `overlap`,
    the second text is split into windows, each preceded by the first text."""
    sizes = len(first.tokens), len(second.tokens)
    if sum(sizes) <= room:
        return [_pair(first, second, row_format)]
    longest = max(room // 2, room - sizes[1])
    stats.cut += row_format.overlap is None or sizes[0] > longest
    first = cut(first, np.arange(sizes[0]) < longest)
    left = room - len(first.tokens)
    starts = window_starts(sizes[1], left, row_format.overlap)
    return [_pair(first, _window(second, start, start + left), row_format) for start in starts]


def _pair(first: Text, second: Text, row_format: RowFormat) -> Row:
    begin, sep = int(row_format.begin), [row_format.tokenizer.sep]
    tokens = np.concatenate([np.full(begin, _cls(row_format)), first.tokens, sep, second.tokens, sep])
    border = begin + len(first.tokens) + 1
    segments = (np.arange(len(tokens)) >= border).astype(np.int64)
    of_row = 0 if row_format.begin else len(tokens) - 1
    reads_second = row_format.reads == "second"
    return Row(
        tokens,
        segments if row_format.segments > 1 else np.zeros_like(segments),
        (of_row, *range(border, border + len(second.tokens))) if reads_second else (of_row,),
        _named(first, begin) + _named(second, border),
        characters=second.characters if reads_second else None,
    )


def keep_nearest(length: int, spans: Ints | None, room: int) -> Bools:
    """Which of `length` tokens are kept: the `room` tokens nearest to a span; without spans the first ones."""
    places = np.arange(length)
    if spans is None or not len(spans):
        return places < room
    away = np.maximum(spans[:, :1] - places, places - np.maximum(spans[:, 1:] - 1, spans[:, :1]))
    kept = np.zeros(length, np.bool_)
    kept[np.argsort(np.maximum(away, 0).min(axis=0), kind="stable")[:room]] = True
    return kept


def cut(text: Text, kept_T: Bools) -> Text:
    """The text with only the kept tokens. A mention that loses a token is dropped; a span may become empty."""
    before = np.concatenate([[0], np.cumsum(kept_T)])
    mentions = before[text.mentions]
    is_complete = mentions[:, 1] - mentions[:, 0] == text.mentions[:, 1] - text.mentions[:, 0]
    return Text(
        text.tokens[kept_T],
        before[text.spans],
        mentions[is_complete],
        [entity for entity, keep in zip(text.entities, is_complete, strict=True) if keep],
        text.characters[kept_T],
    )


def insert_markers(text: Text, markers: Sequence[int]) -> tuple[Text, Ints, Ints]:
    """The text with marker i before and after span i, and the token positions of opening and closing markers."""
    if not markers:
        none = np.zeros(0, np.int64)
        return text, none, none
    first, stop = text.spans.T
    at = np.concatenate([first, stop])
    opens = np.arange(len(at)) < len(first)
    order = np.lexsort((opens, at))  # at equal positions, the closing marker comes first
    ids = np.tile(np.asarray(markers, np.int64), 2)
    places = np.empty(len(at), np.int64)
    places[order] = at[order] + np.arange(len(at))
    tokens = np.insert(text.tokens, at[order], ids[order])

    def move(spans: Ints) -> Ints:
        begin, last = spans[:, 0], np.maximum(spans[:, 1] - 1, spans[:, 0])
        shift = [(at[None, :] <= old[:, None]).sum(axis=1) for old in (begin, last)]
        return np.stack([begin + shift[0], last + shift[1] + 1], axis=1)

    moved = text._replace(tokens=tokens, spans=move(text.spans), mentions=move(text.mentions))
    return moved, places[: len(first)], places[len(first) :]


def _named(text: Text, begin: int) -> tuple[EntitySpan, ...]:
    """The mentions in order, without those that overlap an earlier mention or have no token."""
    found: list[EntitySpan] = []
    for (first, stop), entity in sorted(
        zip((text.mentions + begin).tolist(), text.entities, strict=True), key=lambda named: named[0]
    ):
        if stop > first and (not found or first >= found[-1].stop):
            found.append(EntitySpan(first, stop, entity))
    return tuple(found)


def _cls(row_format: RowFormat) -> int:
    return row_format.tokenizer.cls if row_format.begin else 0
