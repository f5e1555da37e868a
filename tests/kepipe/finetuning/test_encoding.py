"""Rows of tasks: markers surround spans, truncation keeps spans, labels and mentions are shifted along."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kepipe.data.document import Mention, Span
from kepipe.finetuning.encoding import (
    RowFormat,
    TruncationStats,
    encode_rows,
)
from kepipe.finetuning.examples import Example, from_words
from kepipe.finetuning.label_output import ONE_LABEL
from kepipe.finetuning.output import AnswerFormat
from kepipe.finetuning.rows import Row
from kepipe.tokenization.tokenizer import Tokenizer, load_tokenizer

MINILM = load_tokenizer("minilm")
HD, TL = 1, 2


def names(row: Row, tokenizer: Tokenizer = MINILM) -> list[str]:
    special = {HD: "[HD]", TL: "[TL]"}
    return [special.get(int(i), tokenizer.backend.id_to_token(int(i))) for i in row.tokens]


def row_format(**changes: Any) -> RowFormat:
    return RowFormat(**({"tokenizer": MINILM, "length": 64, "reads": "spans", "markers": (HD, TL)} | changes))


CURIE = Example(
    "x", "(Skłodowska) lived in Warsaw.", (Span(1, 11), Span(22, 28)), mentions=(Mention(1, 11, "Q7186"),)
)


def test_markers_surround_spans_and_opening_markers_are_read() -> None:
    (row,) = encode_rows([CURIE], row_format())
    tokens = names(row)
    assert tokens[:3] == ["[CLS]", "(", "[HD]"]
    assert " ".join(tokens).endswith("[HD] ) lived in [TL] warsaw [TL] . [SEP]")
    assert [tokens[place] for place in row.read_positions] == ["[HD]", "[TL]"]
    assert row.read_positions[0] == 2
    (named,) = row.mentions
    # the entity is at the first token of its mention, not at the marker
    assert tokens[named.first - 1] == "[HD]"
    assert tokens[named.stop] == "[HD]"


def test_tail_span_may_precede_the_head_span() -> None:
    example = Example("x", "Oslo is in Norway", (Span(11, 17), Span(0, 4)))
    (row,) = encode_rows([example], row_format())
    assert names(row) == ["[CLS]", "[TL]", "oslo", "[TL]", "is", "in", "[HD]", "norway", "[HD]", "[SEP]"]
    assert row.read_positions == (6, 1)


def test_decoder_reads_the_closing_markers() -> None:
    example = Example("x", "Oslo is in Norway", (Span(0, 4), Span(11, 17)))
    (row,) = encode_rows([example], row_format(begin=False, causal=True))
    assert names(row) == ["[HD]", "oslo", "[HD]", "is", "in", "[TL]", "norway", "[TL]", "[SEP]"]
    assert row.read_positions == (2, 7)


def test_marker_string_in_the_text_is_text() -> None:
    example = Example("x", "a [unused0] b", (Span(0, 1), Span(12, 13)))
    (row,) = encode_rows([example], row_format())
    assert (row.tokens == HD).sum() == 2


def test_truncation_keeps_tokens_near_the_spans() -> None:
    text = " ".join(["far"] * 50 + ["Oslo"] + ["between"] * 50 + ["Norway"] + ["far"] * 50)
    spans = tuple(Span(text.index(name), text.index(name) + len(name)) for name in ("Oslo", "Norway"))
    stats = TruncationStats()
    (row,) = encode_rows([Example("x", text, spans)], row_format(length=20), stats)
    tokens = names(row)
    assert len(row) == 20
    assert (tokens.count("oslo"), tokens.count("norway"), stats.cut) == (1, 1, 1)
    assert [tokens[place] for place in row.read_positions] == ["[HD]", "[TL]"]


words = st.lists(
    st.sampled_from(["Zürich", "a", "unbelievably", "(", "北京", "2017", "x-y"]), min_size=4, max_size=40
)


@given(words, st.data())
@settings(max_examples=60, deadline=None)
def test_row_without_markers_is_the_text(pieces: list[str], data: st.DataObject) -> None:
    """For any spans: each marker occurs twice, with the span between its two occurrences."""
    text, starts = " ".join(pieces), np.cumsum([0] + [len(piece) + 1 for piece in pieces])
    first, second = sorted(
        data.draw(st.lists(st.integers(0, len(pieces) - 1), min_size=2, max_size=2, unique=True))
    )
    spans = tuple(Span(int(starts[n]), int(starts[n]) + len(pieces[n])) for n in (second, first))
    (row,) = encode_rows([Example("x", text, spans)], row_format(length=500))
    plain = MINILM.encode([text]).tokens
    assert row.tokens[~np.isin(row.tokens, (HD, TL))][1:-1].tolist() == plain.tolist()
    for id, span in zip((HD, TL), spans, strict=True):
        opens, closes = np.flatnonzero(row.tokens == id)
        inside = MINILM.encode([text[span.start : span.end]]).tokens
        assert row.tokens[opens + 1 : closes].tolist() == inside.tolist()
    short = encode_rows([Example("x", text, spans)], row_format(length=16))[0]
    assert len(short) <= 16
    assert len(short.read_positions) == 2


def test_labels_follow_words_through_subwords() -> None:
    spans = (Span(0, 6), Span(7, 14), Span(15, 21))
    example = Example("x", "Skłodo visited Warsaw", spans, mentions=(Mention(15, 21, "Q270"),))
    (row,) = encode_rows([example], row_format(reads="words", markers=()))
    tokens = names(row)
    assert [tokens[place].removeprefix("##") for place in row.read_positions][1:] == ["visited", "warsaw"]
    assert row.read_positions[0] == 1
    assert row.read_positions[1] > 2  # the name has several pieces
    assert row.mentions == ((row.read_positions[2], row.read_positions[2] + 1, "Q270"),)


def test_character_labels_split_tokens_into_characters() -> None:
    """ "2017" is one token of BERT's, and four characters with a label each."""
    text = "于2017年"
    example = Example("x", text, tuple(Span(n, n + 1) for n in range(6)), mentions=(Mention(1, 5, "year"),))
    (row,) = encode_rows([example], row_format(reads="words", markers=()))
    assert row.read_positions == (1, 2, 3, 4, 5, 6)
    assert names(row)[2:6] == ["2", "0", "1", "7"]
    assert row.mentions == ((2, 6, "year"),)


def test_truncated_words_have_no_read_position() -> None:
    text = "a " * 20
    example = Example("x", text.strip(), tuple(Span(2 * n, 2 * n + 1) for n in range(20)))
    stats = TruncationStats()
    (row,) = encode_rows([example], row_format(reads="words", markers=(), length=12), stats)
    assert len(row.read_positions) == 10
    assert (stats.cut, stats.words_cut) == (1, 10)


def test_each_word_is_read_in_one_window_without_overlap() -> None:
    """Also the first word of each window."""
    example = Example("x", ("a " * 20).strip(), tuple(Span(2 * n, 2 * n + 1) for n in range(20)))
    stats = TruncationStats()
    rows = encode_rows([example], row_format(reads="words", markers=(), length=12, overlap=0), stats)
    assert [tuple(row.read_words) for row in rows] == [tuple(range(10)), tuple(range(10, 20))]
    assert [row.read_positions for row in rows] == [tuple(range(1, 11))] * 2
    assert (stats.cut, stats.words_cut, stats.windows) == (0, 0, 1)


def test_pairs_are_truncated_at_the_longer_text_and_have_segments() -> None:
    example = Example("x", "one " * 30, second="two " * 5, second_mentions=(Mention(0, 3, "Q2"),))
    (row,) = encode_rows([example], row_format(reads="row", markers=(), length=23))
    tokens = names(row)
    assert (tokens.count("one"), tokens.count("two"), len(row)) == (15, 5, 23)
    assert row.segments.tolist() == [0] * 17 + [1] * 6
    assert row.mentions == ((17, 18, "Q2"),)
    (row,) = encode_rows([example], row_format(reads="row", markers=(), length=23, segments=1))
    assert not row.segments.any()


def test_long_pairs_are_truncated_to_equal_halves() -> None:
    stats = TruncationStats()
    example = Example("x", "one " * 30, second="two " * 30)
    (row,) = encode_rows([example], row_format(reads="row", markers=(), length=23), stats)
    assert (names(row).count("one"), names(row).count("two"), stats.cut) == (10, 10, 1)
    assert row.read_positions == (0,)
    assert row.characters is None


@pytest.mark.parametrize("begin", [True, False])
def test_question_rows_read_the_row_and_every_token_of_the_second_text(begin: bool) -> None:
    example = Example("x", "what is", second="two words", second_mentions=(Mention(4, 9, "Q1"),))
    stats = TruncationStats()
    (row,) = encode_rows([example], row_format(reads="second", markers=(), begin=begin), stats)
    assert names(row) == ["[CLS]"] * begin + ["what", "is", "[SEP]", "two", "words", "[SEP]"]
    assert row.segments.tolist() == [0] * (3 + begin) + [1] * 3
    assert row.read_positions == ((0, 4, 5) if begin else (5, 3, 4))
    assert row.characters is not None
    assert row.characters.tolist() == [[0, 3], [4, 9]]
    _, again = encode_rows([Example("y", "", second="a"), example], row_format(reads="second", begin=begin))
    assert again.characters is not None
    assert again.characters.tolist() == [[0, 3], [4, 9]]
    assert row.mentions == ((4 + begin, 5 + begin, "Q1"),)
    assert (stats.rows, stats.cut, stats.windows, stats.mentions, stats.mentions_aligned) == (1, 0, 0, 1, 1)


def test_first_text_of_a_pair_is_truncated_once_across_windows() -> None:
    stats = TruncationStats()
    example = Example("x", "one " * 30, second="two " * 25)
    rows = encode_rows([example], row_format(reads="second", markers=(), length=23, overlap=2), stats)
    assert [(names(row).count("one"), names(row).count("two")) for row in rows] == [(10, 10)] * 3
    assert (stats.cut, stats.rows, stats.windows) == (1, 3, 2)
    encode_rows(
        [Example("x", "one", second="two " * 25)], row_format(reads="second", length=23, overlap=2), stats
    )
    assert stats.cut == 1


def test_overlapping_mentions_keep_the_first() -> None:
    example = Example("x", "a b c", mentions=(Mention(2, 5, "Q2"), Mention(0, 3, "Q1"), Mention(4, 5, "Q3")))
    (row,) = encode_rows([example], row_format(reads="row", markers=()))
    assert row.mentions == ((1, 3, "Q1"), (3, 4, "Q3"))
    assert row.read_positions == (0,)


def test_mention_without_a_token_is_left_out() -> None:
    stats = TruncationStats()
    example = Example("x", "a \u200b bc", mentions=(Mention(2, 3, "Q1"), Mention(4, 6, "Q2")))
    (row,) = encode_rows([example], row_format(reads="row", markers=()), stats)
    assert row.mentions == ((2, 3, "Q2"),)
    assert (stats.mentions, stats.mentions_aligned) == (2, 1)


def test_decoder_without_begin_token_reads_the_last_token() -> None:
    form = row_format(reads="row", markers=(), begin=False, causal=True)
    (row,) = encode_rows([Example("x", "all well")], form)
    assert names(row) == ["all", "well", "[SEP]"]
    assert row.read_positions == (2,)


@pytest.mark.parametrize(
    ("markers", "begin", "smallest"),
    [((HD, TL), True, 10), ((HD, TL), False, 9), ((), True, 4), ((HD,), True, 6)],
)
def test_too_small_length_is_rejected(markers: tuple[int, ...], begin: bool, smallest: int) -> None:
    """A span needs two tokens beside its markers; a text without markers too."""
    example = Example("x", "Oslo is in Norway", (Span(0, 4), Span(11, 17))[: len(markers)])
    form = row_format(length=smallest, reads="spans" if markers else "row", markers=markers, begin=begin)
    assert len(encode_rows([example], form)[0]) <= smallest
    with pytest.raises(ValueError, match=f"length: {smallest - 1} tokens leave no room"):
        encode_rows([example], replace(form, length=smallest - 1))


def test_texts_that_just_fit_are_not_truncated() -> None:
    stats = TruncationStats()
    assert stats == TruncationStats(0, 0, 0, 0, 0, 0, 0, 0)
    encode_rows([Example("x", "one " * 10)], row_format(reads="row", markers=(), length=12), stats)
    pair = Example("x", "one " * 15, second="two " * 5)
    encode_rows([pair], row_format(reads="row", markers=(), length=23), stats)
    assert (stats.cut, stats.rows) == (0, 2)
    windows = Example("x", "one " * 10, second="two " * 25)
    encode_rows([windows], row_format(reads="second", markers=(), length=23, overlap=2), stats)
    assert (stats.cut, stats.rows) == (0, 5)


def test_span_without_a_token_gets_the_next_or_the_last() -> None:
    example = Example("x", "a \u200b bc \u200b", (Span(2, 3), Span(7, 8)))
    (row,) = encode_rows([example], row_format())
    assert names(row) == ["[CLS]", "a", "[HD]", "[TL]", "bc", "[HD]", "[TL]", "[SEP]"]
    (row,) = encode_rows([example], row_format(markers=()))
    assert [names(row)[place] for place in row.read_positions] == ["bc", "bc"]
    (row,) = encode_rows([Example("x", "\u200b", (Span(0, 1),))], row_format(markers=()))
    assert (names(row), row.read_positions) == (["[CLS]", "[SEP]"], (1,))


@pytest.mark.parametrize("reads", ["words", "spans"])
def test_decoder_reads_the_last_token_of_a_word_or_span(reads: str) -> None:
    example = Example("x", "Skłodowska lived", (Span(0, 10), Span(11, 16)))
    (row,) = encode_rows([example], row_format(reads=reads, markers=(), begin=False, causal=True))
    assert len(row) > 4
    assert row.read_positions == (len(row) - 3, len(row) - 2)


def test_mention_from_before_the_first_word_covers_it() -> None:
    example = Example("x", " Oslo old", (Span(1, 5), Span(6, 9)), mentions=(Mention(0, 5, "Q585"),))
    (row,) = encode_rows([example], row_format(reads="words", markers=()))
    assert row.mentions == ((1, 2, "Q585"),)


def test_single_word_without_tokens_moves_the_numbers_of_later_words() -> None:
    (row,) = encode_rows([sentence(["Oslo", "\u200b", "old"])], row_format(reads="words", markers=()))
    assert list(row.read_words) == [0, 2]


def test_empty_text_has_a_row() -> None:
    (row,) = encode_rows([Example("x", "\u200b", ())], row_format(reads="row", markers=()))
    assert names(row) == ["[CLS]", "[SEP]"]


def test_words_without_tokens_have_no_read_position() -> None:
    """Not that of the next or previous word."""
    pieces = ["\u200b", "Oslo", "\u200b", "\u200b", "is", "old", "\u200b"]
    stats = TruncationStats()
    example = sentence(pieces)
    (row,) = encode_rows([example], row_format(reads="words", markers=()), stats)
    assert [names(row)[place] for place in row.read_positions] == ["oslo", "is", "old"]
    assert list(row.read_words) == [1, 4, 5]
    assert (stats.words_empty, stats.words_cut) == (4, 0)
    numbers = AnswerFormat(MINILM, ("A", "B"), 0, "words")
    (labelled,) = ONE_LABEL.encode([row], [example], numbers)
    assert labelled.labels == (1, 0, 1)


def test_truncated_words_and_words_without_tokens_are_counted_separately() -> None:
    stats = TruncationStats()
    pieces = ["a", "\u200b"] * 20
    (row,) = encode_rows([sentence(pieces)], row_format(reads="words", markers=(), length=12), stats)
    assert list(row.read_words) == list(range(0, 20, 2))
    assert (stats.words_empty, stats.words_cut) == (20, 10)


def test_sentence_without_tokens_has_a_row() -> None:
    (row,) = encode_rows([sentence(["\u200b"])], row_format(reads="words", markers=()))
    assert names(row) == ["[CLS]", "[SEP]"]
    assert row.read_positions == ()


def sentence(pieces: list[str]) -> Example:
    text, spans = from_words(pieces)
    return Example("x", text, tuple(spans), tuple("AB"[place % 2] for place in range(len(pieces))))
