"""Words separated by white space, as in ARPA files."""

from __future__ import annotations

from pathlib import Path

from kepipe.tokenization.tokenizer import load_tokenizer
from kepipe.tokenization.word_level import words_tokenizer


def test_words_have_the_ids_of_the_list_and_other_words_are_unknown(tmp_path: Path) -> None:
    words_tokenizer(["<unk>", "<s>", "</s>", "Io's", "ĠMoon", "月"]).save(tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.encode(["Io's ĠMoon\n月 io's Moon"]).tokens.tolist() == [3, 4, 5, 0, 0]
    assert (tokenizer.role("unk"), tokenizer.cls, tokenizer.sep, tokenizer.vocab_size) == (0, 1, 2, 6)
    assert tokenizer.ordinary.tolist() == [3, 4, 5]
