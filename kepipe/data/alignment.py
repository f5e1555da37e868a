"""From characters to tokens: align a document's annotations with the tokens of any tokenizer.

The texts of a chunk are concatenated, so that one search aligns the spans of all documents.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kepipe.arrays import Bools, Ints, Ints32, ranges
from kepipe.data.document import Document
from kepipe.data.document_columns import DocumentColumns, Links, Rows
from kepipe.tokenization.tokenizer import Encoded, Tokenizer

WORD, PHRASE, ENTITY, SENTENCE, DOCUMENT, TURN = 1, 2, 4, 8, 16, 32
"""Bits of `bounds`: a unit of this level starts here."""
REPLY = 64
"""With TURN: the speaker is not the one who began the dialogue."""
CAPITAL = 128
"""With WORD: the word begins with a capital letter."""
SPACES = [code for code in range(0x3001) if chr(code).isspace()]
LEVELS = {"word": WORD, "phrase": PHRASE, "entity": ENTITY}


@dataclass(frozen=True)
class Columns:
    """Tokens of a chunk of documents, N in all: `tokens` int [N], `bounds` uint8 [N], `entities` int32 [N] (−1 none).

    `documents`: int [documents], tokens of each. `mentions`: the number of mentions; `aligned`: how many got tokens.
    """

    tokens: Ints
    bounds: npt.NDArray[np.uint8]
    entities: Ints32
    documents: Ints
    mentions: int
    aligned: int


def tokenise(documents: Sequence[Document], tokenizer: Tokenizer, row: Callable[[str], int]) -> Columns:
    """Tokens of documents with their units, as `tokenise_columns`."""
    return tokenise_columns(DocumentColumns.of(documents), tokenizer, row)


def tokenise_columns(documents: DocumentColumns, tokenizer: Tokenizer, row: Callable[[str], int]) -> Columns:
    """Tokens of documents with their units. `row`: entity id → row.

    A word is a pre-token of the tokenizer; in runs of Chinese characters it is the document's phrase (ERNIE's lexical
    units; jieba's words), or else the character. At phrase level a unit is a phrase, or a word outside phrases; at
    entity level a mention, or a word outside mentions (ERNIE 1.0, section 3.2).
    """
    texts = list(documents.texts)
    encoded = tokenizer.encode(texts)
    codes = np.frombuffer("".join(texts).encode("utf-32-le"), dtype=np.uint32)
    sizes = np.fromiter(map(len, texts), np.int64, len(texts))
    bases = np.cumsum(sizes) - sizes
    starts, ends = stream_offsets(encoded, bases, codes)
    opens = (np.cumsum(encoded.lengths) - encoded.lengths)[encoded.lengths > 0]

    phrase_from, phrase_to = _concatenated_spans(documents.phrases, bases)
    words = _words(encoded.words, starts, ends, codes, phrase_from, phrase_to)
    sentence_from, _ = _concatenated_spans(documents.sentences, bases)
    sentences = np.zeros_like(words)
    first_of_sentence = np.searchsorted(ends, sentence_from, side="right")
    sentences[first_of_sentence[first_of_sentence < len(starts)]] = True

    phrases = _units(words, *cover(starts, ends, phrase_from, phrase_to))
    first, stop, names = _place_mentions(documents.mentions, bases, starts, ends)
    entities = np.full(len(starts), -1, dtype=np.int32)
    rows = np.fromiter(map(row, names), np.int32, len(names))
    entities[ranges(first, stop - first)] = np.repeat(rows, stop - first)

    bounds = np.zeros(len(starts), dtype=np.uint8)
    for bit, marks in (
        (WORD, words), (PHRASE, phrases), (ENTITY, _units(words, first, stop)), (SENTENCE, sentences),
    ):  # fmt: skip
        bounds[marks] |= bit
    bounds[opens] |= WORD | PHRASE | ENTITY | SENTENCE | DOCUMENT
    bounds |= _turns(documents.turns, bases, ends)
    bounds[((bounds & WORD) > 0) & _capitals(starts, codes)] |= CAPITAL
    mentions = len(documents.mentions.entities)
    return Columns(encoded.tokens, bounds, entities, encoded.lengths, mentions, len(names))


def cover(starts: Ints, ends: Ints, span_from: Ints, span_to: Ints) -> tuple[Ints, Ints]:
    """Start and end (exclusive) of the tokens that overlap each span; an empty range if there are none.

    A span that starts inside a token, such as after a bracket that is part of the token, gets that token.
    """
    first = np.searchsorted(ends, span_from, side="right")
    stop = np.searchsorted(starts, span_to, side="left")
    found = stop > first
    return first[found], stop[found]


def coverage(bounds: npt.NDArray[np.uint8], entities: Ints32, rows_of: Ints) -> dict[str, int]:
    """Counts of mentions and distinct entities in a token stream, and how many of each have a vector.

    `rows_of`: the vector's row of each entity, −1 for those that have none.
    """
    mentions = entities[((bounds & ENTITY) > 0) & (entities >= 0)]
    present = np.unique(mentions)
    return {
        "mentions": len(mentions),
        "mentions_with_vector": int((rows_of[mentions] >= 0).sum()),
        "entities": len(present),
        "entities_with_vector": int((rows_of[present] >= 0).sum()),
    }


def stream_offsets(encoded: Encoded, bases: Ints, codes: npt.NDArray[np.uint32]) -> tuple[Ints, Ints]:
    """Offsets into the concatenated texts, without the leading spaces of byte-level and Metaspace tokens."""
    base = np.repeat(bases, encoded.lengths)
    starts, ends = encoded.starts + base, encoded.ends + base
    spaced = np.arange(len(starts))
    while len(spaced):  # a round for each space
        spaced = spaced[ends[spaced] - starts[spaced] > 1]
        spaced = spaced[np.isin(codes[starts[spaced]], SPACES)]
        starts[spaced] += 1
    # A normaliser may reorder characters; the search below needs order.
    return np.maximum.accumulate(starts), np.maximum.accumulate(ends)


def _words(
    split: Bools, starts: Ints, ends: Ints, codes: npt.NDArray[np.uint32], phrase_from: Ints, phrase_to: Ints
) -> Bools:
    """Word starts: the tokenizer's, but in runs of Chinese characters the starts of phrases."""
    if not len(starts):
        return split
    code = codes[
        np.minimum(starts, len(codes) - 1)
    ]  # a byte-level token of a final blank starts after the text
    han = ((code >= 0x3400) & (code <= 0x9FFF)) | ((code >= 0xF900) & (code <= 0xFAFF)) | (code >= 0x20000)
    phrase = np.searchsorted(phrase_from, starts, side="right") - 1
    if len(phrase_from):
        phrase[starts >= phrase_to[phrase]] = -1
    same_phrase = (phrase[1:] == phrase[:-1]) & (phrase[1:] >= 0)
    same_character = starts[1:] < ends[:-1]
    words = split.copy()
    words[1:][han[1:]] = ~(same_phrase | same_character)[han[1:]]
    words[1:][han[1:] != han[:-1]] = True
    return words


def _capitals(starts: Ints, codes: npt.NDArray[np.uint32]) -> Bools:
    """Which tokens begin with a capital letter: bool [N]."""
    if not len(starts):
        return np.zeros(0, np.bool_)
    found, which = np.unique(codes[np.minimum(starts, len(codes) - 1)], return_inverse=True)
    return np.array([chr(code).isupper() for code in found.tolist()])[which]


def _turns(turns: Rows, bases: Ints, ends: Ints) -> npt.NDArray[np.uint8]:
    """TURN and REPLY bits at the starts of turns: uint8 [N]. A turn without tokens is replaced by the next one."""
    turn_from, _ = _concatenated_spans(turns, bases)
    first = np.searchsorted(ends, turn_from, side="right")
    marks = np.zeros(len(ends) + 1, dtype=np.uint8)
    marks[first] = TURN + REPLY * turns.values[:, 2]
    return marks[:-1]


def _units(words: Bools, first: Ints, stop: Ints) -> Bools:
    """Unit starts: those of the given token ranges, and of the words outside them."""
    units = words.copy()
    units[ranges(first + 1, stop - first - 1)] = False
    units[first] = True
    units[stop[stop < len(units)]] = True
    return units


def _place_mentions(mentions: Links, bases: Ints, starts: Ints, ends: Ints) -> tuple[Ints, Ints, list[str]]:
    """Token ranges and entities of the mentions, in order; a mention that overlaps an earlier one is dropped."""
    span_from, span_to = _concatenated_spans(mentions.spans, bases)
    document = np.repeat(np.arange(len(bases)), mentions.spans.counts)
    order = np.lexsort((-span_to, span_from, document))
    first = np.searchsorted(ends, span_from[order], side="right")
    stop = np.searchsorted(starts, span_to[order], side="left")
    kept, reached = [], 0
    for place, (start, end) in enumerate(zip(first.tolist(), stop.tolist(), strict=True)):
        if reached <= start < end:
            kept.append(place)
            reached = end
    return first[kept], stop[kept], mentions.entities.take(order[kept])


def _concatenated_spans(rows: Rows, bases: Ints) -> tuple[Ints, Ints]:
    """Starts and ends of all spans in the concatenated texts."""
    laid = rows.values[:, :2] + np.repeat(bases, rows.counts)[:, None]
    return laid[:, 0], laid[:, 1]
