"""Words and bytes: any text is encoded and decoded, known words as one token."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kepipe.tokenization import byte_letters
from kepipe.tokenization.trainers import words_or_bytes, words_or_bytes_tokenizer

TOKENIZER = words_or_bytes_tokenizer(["the", "Moon", ",", "中"])


def test_known_words_are_one_token_and_others_are_spelled() -> None:
    encoded = TOKENIZER.encode(["the Moon, Ä 中国"])
    names = [TOKENIZER.backend.id_to_token(token) for token in encoded.tokens.tolist()]
    assert names == ["Ġthe", "ĠMoon", "Ġ,", "Ġ", "Ã", "Ħ", "Ġä¸Ń", "Ġ", "å", "Ľ", "½"]
    assert encoded.words.tolist() == [True] * 4 + [False] * 2 + [True] * 2 + [False] * 3
    assert TOKENIZER.decode(encoded.tokens) == "the Moon , Ä 中 国"
    assert encoded.starts.tolist()[3:6] == [10, 10, 10]


@settings(max_examples=60, deadline=None)
@given(
    st.text(st.characters(blacklist_categories=["Cs", "Cc", "Cf", "Co", "Cn", "Z"]), min_size=1, max_size=12)
)
def test_every_word_is_decoded(word: str) -> None:
    tokens = TOKENIZER.encode([word]).tokens
    assert TOKENIZER.decode(tokens).replace(" ", "") == word
    assert TOKENIZER.named["unk"] not in [TOKENIZER.backend.id_to_token(token) for token in tokens.tolist()]


def test_frequent_words_come_first() -> None:
    trained = words_or_bytes(["b a b c", "b a d"], 364, lowercase=True)
    first = trained.vocab_size - 3
    assert [trained.decode([token]) for token in range(first, first + 3)] == ["b", "a", "c"]
    assert trained.vocab_size == 364
    with pytest.raises(ValueError, match="361 is too small"):
        words_or_bytes(["a"], 361, lowercase=True)


def test_letters_represent_bytes() -> None:
    text = "\x00 ä中\xad~"
    assert byte_letters.read(byte_letters.written(text)) == text.encode()
    assert byte_letters.read("中") == "中".encode(), "no letter of a byte"
