import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kepipe.data.alignment import (
    CAPITAL,
    DOCUMENT,
    LEVELS,
    REPLY,
    SENTENCE,
    TURN,
    WORD,
    Columns,
    coverage,
    stream_offsets,
    tokenise,
)
from kepipe.data.document import Document, Mention, Span, Turn
from kepipe.tokenization.tokenizer import Encoded, Tokenizer, load_tokenizer
from kepipe.tokenization.training import train_tokenizer

ENGLISH = ["Paris (Texas) is a city. It has 24,171 people.", "the unbelievable city of New York"] * 5
CHINESE = ["北京大学在中国北京。", "我爱北京天安门", "ABC公司在上海"] * 5


@pytest.fixture(scope="module")
def minilm() -> Tokenizer:
    return load_tokenizer("minilm")


@pytest.fixture(scope="module")
def bytes_() -> Tokenizer:
    return train_tokenizer(ENGLISH, "bpe", 420)


@pytest.fixture(scope="module")
def characters() -> Tokenizer:
    return train_tokenizer(CHINESE, "characters", 300)


def test_the_capital_bit_is_set_only_at_words_that_begin_with_a_capital(bytes_: Tokenizer) -> None:
    columns = tokenise([Document("d", "the iPQ of Paris")], bytes_, lambda _: 0)
    words, capitals = (columns.bounds & WORD) > 0, (columns.bounds & CAPITAL) > 0
    assert words.sum() < len(words)  # iPQ is of several tokens
    assert np.flatnonzero(capitals).tolist() == [np.flatnonzero(words)[-1]]


def units(columns: Columns, tokenizer: Tokenizer, bit: int) -> list[str]:
    """The tokens of each unit, joined."""
    pieces = [tokenizer.backend.id_to_token(int(t)) for t in columns.tokens]
    starts = np.flatnonzero(columns.bounds & bit).tolist()
    return [" ".join(pieces[a:b]) for a, b in zip(starts, [*starts[1:], len(pieces)], strict=True)]


def test_english_levels(minilm: Tokenizer) -> None:
    text = "He saw the Travolta (Paris). Not bad."
    document = Document(
        "d",
        text,
        sentences=(Span(0, 28), Span(29, 37)),
        phrases=(Span(7, 19),),
        mentions=(Mention(21, 26, "Q90"),),
    )
    made = tokenise([document], minilm, {"Q90": 3}.__getitem__)
    word, phrase, entity = (units(made, minilm, bit) for bit in LEVELS.values())
    assert word == [
        "he",
        "saw",
        "the",
        "tr ##av ##olt ##a",
        "(",
        "paris",
        ")",
        ".",
        "not",
        "bad",
        ".",
    ]
    assert phrase == ["he", "saw", "the tr ##av ##olt ##a", "(", "paris", ")", ".", "not", "bad", "."]
    assert entity == word
    assert units(made, minilm, SENTENCE)[1] == "not bad ."
    assert made.entities[made.entities >= 0].tolist() == [3]
    assert minilm.backend.id_to_token(int(made.tokens[made.entities == 3][0])) == "paris"
    assert (made.mentions, made.aligned) == (1, 1)


def test_turn_and_reply_bits_are_set_at_first_tokens(minilm: Tokenizer) -> None:
    text = "Hello there. Hi. How are you?"
    turns = (Turn(0, 12, 0), Turn(13, 16, 1), Turn(17, 29, 0))
    made = tokenise([Document("d", text, turns=turns)], minilm, {}.__getitem__)
    pieces = [minilm.backend.id_to_token(int(token)) for token in made.tokens]
    for bit, first in ((TURN, ["hello", "hi", "how"]), (REPLY, ["hi"]), (DOCUMENT, ["hello"])):
        assert [pieces[place] for place in np.flatnonzero(made.bounds & bit)] == first


def test_reply_bit_is_not_the_capital_bit_and_tokens_without_mention_have_no_entity(
    minilm: Tokenizer,
) -> None:
    turns = (Turn(0, 5, 0), Turn(6, 8, 1))
    made = tokenise([Document("d", "Hello hi", turns=turns)], minilm, len)
    assert ((made.bounds & (TURN | REPLY | CAPITAL)) == [TURN | CAPITAL, TURN | REPLY]).all()
    assert made.entities.tolist() == [-1, -1]


def test_a_mention_inside_a_token_or_after_a_bracket_keeps_its_entity(bytes_: Tokenizer) -> None:
    text = "in New Yorkers(Paris)"
    mentions = (Mention(3, 11, "NY"), Mention(15, 20, "Paris"))
    made = tokenise([Document("d", text, mentions=mentions)], bytes_, ["NY", "Paris"].index)
    assert made.aligned == 2
    offsets = bytes_.encode([text])
    for row, mention in enumerate(mentions):
        inside = made.entities == row
        covered = {
            c for a, b in zip(offsets.starts[inside], offsets.ends[inside], strict=True) for c in range(a, b)
        }
        assert {c for c in range(mention.start, mention.end) if text[c] != " "} <= covered


def test_first_and_longest_of_mentions_that_share_a_token_is_kept(minilm: Tokenizer) -> None:
    text = "New York City"
    mentions = (Mention(4, 8, "York"), Mention(0, 13, "NYC"), Mention(0, 8, "NY"))
    made = tokenise([Document("d", text, mentions=mentions)], minilm, ["York", "NYC", "NY"].index)
    assert made.entities.tolist() == [1, 1, 1]
    assert (made.mentions, made.aligned) == (3, 1)


def test_blank_at_the_end_of_the_last_text_is_kept(bytes_: Tokenizer) -> None:
    columns = tokenise([Document("d", "Paris "), Document("e", "Paris is a city ")], bytes_, len)
    assert bytes_.decode(columns.tokens) == "Paris Paris is a city "


def test_a_phrase_begins_a_word_also_after_a_document_that_ends_with_a_blank(bytes_: Tokenizer) -> None:
    """The blank's token ends where the next document begins, as if it were the first token of the phrase there."""
    before, phrase = Document("d", "the city "), Document("e", "北京大学", phrases=(Span(0, 4),))
    columns = tokenise([before, phrase], bytes_, len)
    first = columns.bounds[columns.documents[0]]
    assert all(first & LEVELS[level] for level in LEVELS)


def test_chinese_words_are_phrases_or_else_characters(characters: Tokenizer, bytes_: Tokenizer) -> None:
    text = "北京大学在中国ABC公司"
    phrases = (Span(0, 4), Span(5, 7))
    made = tokenise([Document("d", text, phrases=phrases)], characters, len)
    assert units(made, characters, LEVELS["word"]) == ["北 京 大 学", "在", "中 国", "abc", "公", "司"]
    columns = tokenise([Document("d", text, phrases=phrases)], bytes_, len)
    starts = np.flatnonzero(columns.bounds & LEVELS["word"])
    words = [bytes_.decode(part) for part in np.split(columns.tokens, starts[1:])]
    assert words == ["北京大学", "在", "中国", "ABC", "公", "司"]


@pytest.mark.parametrize("character", ["\u3400", "\u4e00", "\u9fff", "\uf900", "\ufaff", "\U00020000"])
def test_every_block_of_characters_is_chinese(bytes_: Tokenizer, character: str) -> None:
    """The first and last of each block: two that are not in a phrase are two words, whatever the tokenizer does."""
    columns = tokenise([Document("d", character * 2)], bytes_, len)
    starts = np.flatnonzero(columns.bounds & LEVELS["word"])
    assert [bytes_.decode(part) for part in np.split(columns.tokens, starts[1:])] == [character] * 2


@pytest.mark.parametrize("character", ["\u33ff", "\ua000", "\uf8ff", "\ufb00"])
def test_neighbours_of_the_blocks_are_not_chinese(bytes_: Tokenizer, character: str) -> None:
    columns = tokenise([Document("d", character * 2)], bytes_, len)
    assert np.flatnonzero(columns.bounds & WORD).tolist() == [0]


def test_last_character_decides_about_its_own_token(bytes_: Tokenizer) -> None:
    columns = tokenise([Document("d", "of北")], bytes_, len)
    starts = np.flatnonzero(columns.bounds & WORD)
    assert [bytes_.decode(part) for part in np.split(columns.tokens, starts[1:])] == ["of", "北"]
    columns = tokenise([Document("d", "of P")], bytes_, len)
    assert [bytes_.decode(columns.tokens[place:]) for place in np.flatnonzero(columns.bounds & CAPITAL)] == [
        " P"
    ]


def test_documents_and_sentences_without_tokens_mark_nothing(minilm: Tokenizer) -> None:
    """Also a blank sentence at the end of the last text."""
    sentences = (Span(0, 5), Span(5, 6))
    documents = [Document(str(n), text) for n, text in enumerate(["", "Paris is old. ", "\u200b", ""])]
    made = tokenise([*documents, Document("last", "Oslo. ", sentences=sentences)], minilm, len)
    assert made.documents.tolist() == [0, 4, 0, 0, 2]
    assert np.flatnonzero(made.bounds & DOCUMENT).tolist() == [0, 4]
    assert np.flatnonzero(made.bounds & SENTENCE).tolist() == [0, 4]
    made = tokenise([*documents, Document("empty", "")], minilm, len)
    assert np.flatnonzero(made.bounds & DOCUMENT).tolist() == [0]


def test_chinese_entities_are_units_of_their_own(characters: Tokenizer) -> None:
    text = "我爱北京天安门"
    document = Document("d", text, phrases=(Span(2, 7),), mentions=(Mention(4, 7, "门"),))
    made = tokenise([document], characters, lambda _: 0)
    assert units(made, characters, LEVELS["phrase"]) == ["我", "爱", "北 京 天 安 门"]
    assert units(made, characters, LEVELS["entity"]) == ["我", "爱", "北 京", "天 安 门"]


WORDS = st.sampled_from(
    ["New", "York", "(Paris)", "unbelievable", "中国", "北京大学", "é", "café", "a-b", "x", "🙂"]
)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    text = " ".join(draw(st.lists(WORDS, min_size=1, max_size=12)))
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)))
    spans = tuple(Span(a, b) for a, b in zip(cuts[::2], cuts[1::2], strict=False))
    ends = st.tuples(st.integers(0, len(text) - 1), st.integers(1, 9))
    mentions = tuple(Mention(a, min(a + n, len(text)), "E") for a, n in draw(st.lists(ends, max_size=4)))
    sentences = tuple(Span(a, b) for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True) if a < b)
    return Document("d", text, sentences=sentences, phrases=spans, mentions=mentions)


@settings(deadline=None, max_examples=100)
@given(st.lists(documents(), min_size=1, max_size=4), st.booleans())
def test_spans_cover_the_tokens_that_share_a_character(
    minilm: Tokenizer, bytes_: Tokenizer, texts: list[Document], byte_level: bool
) -> None:
    tokenizer = bytes_ if byte_level else minilm
    made = tokenise(texts, tokenizer, lambda _: 7)
    alone = [tokenise([document], tokenizer, lambda _: 7) for document in texts]
    for column in ("tokens", "bounds", "entities"):
        assert (getattr(made, column) == np.concatenate([getattr(one, column) for one in alone])).all()
    encoded = tokenizer.encode([document.text for document in texts])
    token, aligned = 0, 0
    for document, length in zip(texts, encoded.lengths.tolist(), strict=True):
        part = slice(token, token + length)
        places = [
            (a + (b - a > 1 and document.text[a] == " "), b)
            for a, b in zip(encoded.starts[part].tolist(), encoded.ends[part].tolist(), strict=True)
        ]
        expected: set[int] = set()
        for mention in sorted(document.mentions, key=lambda m: (m.start, -m.end)):
            touched = {t for t, (a, b) in enumerate(places) if a < mention.end and b > mention.start}
            if touched and min(touched) > max(expected, default=-1):
                expected |= touched
                aligned += 1
        assert set(np.flatnonzero(made.entities[part] >= 0).tolist()) == expected
        if length:
            assert made.bounds[token] & DOCUMENT
        token += length
    assert made.aligned == aligned


@pytest.mark.data
@pytest.mark.skipif("KEPIPE_DATA" not in os.environ, reason="KEPIPE_DATA is not set")
def test_nearly_all_mentions_of_wikipedia_are_aligned(minilm: Tokenizer) -> None:
    data = Path(os.environ["KEPIPE_DATA"])
    documents = []
    for file in sorted((data / "entity-linking").glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines()[:40]:
            record = json.loads(line)
            mentions = [m for m in record.get("mentions", []) if m["end"] > m["start"]]
            linked = tuple(Mention(m["start"], m["end"], str(m.get("entity"))) for m in mentions)
            documents.append(Document(record["id"], record["text"], mentions=linked))
    made = tokenise(documents, minilm, lambda _: 0)
    assert made.mentions > 100
    assert made.aligned / made.mentions > 0.98


WORDS = st.sampled_from(
    ["Paris", "unbelievable", "Travolta", "city of", "New York", "(", '"', "北京", "我爱", "天安门", "24,171"]
)
MARKS = st.sampled_from(["(", '"', "“", "《", "「", "[", "'", "", " "])


@settings(max_examples=60, deadline=None)
@given(before=st.lists(WORDS, max_size=3), mark=MARKS, name=st.sampled_from(["Paris", "Travolta", "北京", "天安门"]),
       after=st.lists(WORDS, max_size=3), chinese=st.booleans())  # fmt: skip
def test_the_entity_begins_at_the_first_token_of_its_name(
    minilm: Tokenizer,
    characters: Tokenizer,
    before: list[str],
    mark: str,
    name: str,
    after: list[str],
    chinese: bool,
) -> None:
    """Also right after a bracket or a quote, in both scripts: the token with the name's first character gets it."""
    tokenizer = characters if chinese else minilm
    start = len(" ".join(before) + " " + mark)
    text = " ".join(before) + " " + mark + name + " " + " ".join(after)
    document = Document("d", text, mentions=(Mention(start, start + len(name), "Q1"),))
    made = tokenise([document], tokenizer, lambda _: 7)
    encoded = tokenizer.encode([text])
    first = int(np.flatnonzero(encoded.ends > start)[0])
    covered = np.flatnonzero((encoded.ends > start) & (encoded.starts < start + len(name)))
    assert (made.mentions, made.aligned) == (1, 1)
    assert np.flatnonzero(made.entities >= 0).tolist() == covered.tolist()
    assert covered[0] == first
    assert made.bounds[first] & LEVELS["entity"]
    assert coverage(made.bounds, made.entities, np.arange(8)) == {
        "mentions": 1, "mentions_with_vector": 1, "entities": 1, "entities_with_vector": 1,
    }  # fmt: skip


def test_coverage_counts_mentions_not_tokens(minilm: Tokenizer) -> None:
    text = "Travolta Travolta Paris"
    mentions = (Mention(0, 8, "Q1"), Mention(9, 17, "Q1"), Mention(18, 23, "Q2"))
    rows = {"Q1": 0, "Q2": 1}
    made = tokenise([Document("d", text, mentions=mentions)], minilm, rows.__getitem__)
    assert (made.entities >= 0).sum() > 3
    assert coverage(made.bounds, made.entities, np.array([-1, 5])) == {
        "mentions": 3, "mentions_with_vector": 1, "entities": 2, "entities_with_vector": 1,
    }  # fmt: skip
    assert coverage(made.bounds, made.entities, np.array([0, -1])) == {
        "mentions": 3, "mentions_with_vector": 2, "entities": 2, "entities_with_vector": 1,
    }  # fmt: skip


def test_a_token_after_any_white_space_begins_at_its_first_letter() -> None:
    from tokenizers.models import Unigram

    tokenizer = train_tokenizer(["The rose\nends."] * 9, "unigram", 200, lowercase=False)
    pieces = ["<unk>", "\u2581The", "\u2581rose", "\u2581ends", "."]
    tokenizer.backend.model = Unigram([(piece, -1.0) for piece in pieces], unk_id=0)
    text = "The\t rose\n\n ends."
    encoded = tokenizer.encode([text])
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    starts, ends = stream_offsets(encoded, np.zeros(1, np.int64), codes)
    assert [text[a:b] for a, b in zip(starts, ends, strict=True)] == ["The", "rose", "ends", "."]


def test_leading_blank_is_not_part_of_a_token_unless_it_is_all_of_it() -> None:
    starts, ends = np.array([0, 1, 2]), np.array([1, 2, 4])
    encoded = Encoded(np.zeros(3, np.int64), starts, ends, np.ones(3, np.bool_), np.array([3]))
    codes = np.frombuffer("a  b".encode("utf-32-le"), dtype=np.uint32)
    found, until = stream_offsets(encoded, np.zeros(1, np.int64), codes)
    assert (found.tolist(), until.tolist()) == ([0, 1, 3], [1, 2, 4])
