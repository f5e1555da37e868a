"""From examples to rows: tokenise, find the spans, put markers around them, cut to length, add [CLS] and [SEP]."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from kepipe.arrays import Bools, Ints
from kepipe.data.alignment import stream_offsets
from kepipe.data.document import Mention, Span
from kepipe.finetuning.examples import Example
from kepipe.finetuning.rows import Named, Reads, Row
from kepipe.tokenization.tokenizer import Tokenizer


@dataclass(frozen=True)
class RowFormat:
    """How a model's rows look.

    `begin`: whether [CLS] stands first (not in GPT and T5, whose rows end with the token that is read). `markers`: ids
    of the tokens around span number 0, 1, …; empty: the spans stay bare. `reads`: which tokens the head reads: those of
    the spans (their opening markers), the one of the row ([CLS] or the last), or every word's. `causal`: a token sees
    only what stands left of it, so that closing markers and last tokens are read. `segments`: how many the model knows.
    `overlap`: a text that is longer than `length` becomes several rows, windows that share so many tokens; None: it is
    cut.
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
    """What did not fit: rows that were cut, words that tagging lost by it, words of which the tokenizer leaves nothing
    (control characters, say), mentions without a token of their own, and tokens that the head should read and that are
    cut off where knowledge moves tokens. `windows`: rows that there are more of than examples."""

    rows: int = 0
    cut: int = 0
    words_cut: int = 0
    words_empty: int = 0
    mentions: int = 0
    mentions_aligned: int = 0
    read_cut_off: int = 0
    windows: int = 0


class Text(NamedTuple):
    """One text as tokens: int [T]; places of the spans asked about and of the mentions, [n, 2] first and stop. A word
    without a token is 0 to 0. `characters`: those of each token, first and stop, int [T, 2]."""

    tokens: Ints
    spans: Ints
    mentions: Ints
    entities: Sequence[str]
    characters: Ints


def encode_rows(
    examples: Sequence[Example], row_format: RowFormat, stats: TruncationStats | None = None
) -> list[Row]:
    """A row of each example, or its windows one after the other, without labels. `stats` is told what had to be left
    out.

    Raises ValueError for a length in which not even the markers have room.
    """
    stats = TruncationStats() if stats is None else stats
    room = row_format.length - row_format.begin - 1 - 2 * len(row_format.markers)
    if room < 2 * max(1, len(row_format.markers)):
        raise ValueError(
            f"length: {row_format.length} tokens leave no room for a text between the special tokens"
        )
    words = row_format.reads == "words"
    firsts = _texts([_apart(e) if words else e for e in examples], row_format.tokenizer, words=words)
    paired = any(example.second for example in examples)
    seconds = _texts([_second(example) for example in examples], row_format.tokenizer) if paired else []
    rows = []
    for place, first in enumerate(firsts):
        if paired:
            made = _pairs(first, seconds[place], row_format, room - 1, stats)
        else:
            stats.words_empty += int(words) * int((first.spans[:, 1] <= first.spans[:, 0]).sum())
            made = [_single(window, row_format, room, stats) for window in _windows(first, row_format, room)]
        rows += [replace(row, example=place) for row in made]
    stats.rows += len(rows)
    stats.windows += len(rows) - len(examples)
    stats.mentions += sum(len(e.mentions) + len(e.second_mentions) for e in examples)
    stats.mentions_aligned += sum(len(row.mentions) for row in rows)
    return rows


def _apart(example: Example) -> Example:
    """The words with blanks between them, so that no token holds two ("2 0 1 7"), and the mentions moved with them."""
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
    """Tokens, spans and mentions of all texts: laid end to end, one search places every span.

    A span without a token gets the token behind it, unless spans are `words`, each with a label of its own.
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
    """Where the windows of `room` tokens begin that hold a text of `length` tokens; one, where it fits or is cut.

    Each shares `overlap` tokens with the one before, at most half of them; the last one ends where the text does.
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
    """Tokens start … stop − 1. A word that begins before them is that of an earlier window."""
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
        tuple(np.minimum(read_positions, len(tokens) - 1).tolist()),
        _named(text, begin),
        words=words,
    )


def _pairs(first: Text, second: Text, row_format: RowFormat, room: int, stats: TruncationStats) -> list[Row]:
    """[CLS] first [SEP] second [SEP]: the longer text is cut first (Devlin et al. 2019's rule), or the second one
    comes in windows, each with the first text before it."""
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
    """Which of `length` tokens are kept: the `room` that are nearest to a span; without spans the first ones."""
    places = np.arange(length)
    if spans is None or not len(spans):
        return places < room
    away = np.maximum(spans[:, :1] - places, places - np.maximum(spans[:, 1:] - 1, spans[:, :1]))
    kept = np.zeros(length, np.bool_)
    kept[np.argsort(np.maximum(away, 0).min(axis=0), kind="stable")[:room]] = True
    return kept


def cut(text: Text, kept_T: Bools) -> Text:
    """The text without the other tokens. A mention of which a token goes is left out; a span may become empty."""
    before = np.concatenate([[0], np.cumsum(kept_T)])
    mentions = before[text.mentions]
    whole = mentions[:, 1] - mentions[:, 0] == text.mentions[:, 1] - text.mentions[:, 0]
    return Text(
        text.tokens[kept_T],
        before[text.spans],
        mentions[whole],
        [entity for entity, keep in zip(text.entities, whole, strict=True) if keep],
        text.characters[kept_T],
    )


def insert_markers(text: Text, markers: Sequence[int]) -> tuple[Text, Ints, Ints]:
    """The text with marker i before and after span i, and the places of the opening and of the closing markers."""
    if not markers:
        none = np.zeros(0, np.int64)
        return text, none, none
    first, stop = text.spans.T
    at = np.concatenate([first, stop])
    opens = np.arange(len(at)) < len(first)
    order = np.lexsort((opens, at))  # where two markers meet, the closing one stands first
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


def _named(text: Text, begin: int) -> tuple[Named, ...]:
    """The mentions in order, without those that overlap an earlier one or have no token."""
    found: list[Named] = []
    for (first, stop), entity in sorted(
        zip((text.mentions + begin).tolist(), text.entities, strict=True), key=lambda named: named[0]
    ):
        if stop > first and (not found or first >= found[-1].stop):
            found.append(Named(first, stop, entity))
    return tuple(found)


def _cls(row_format: RowFormat) -> int:
    return row_format.tokenizer.cls if row_format.begin else 0
