"""Imported word vectors as a model folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kepipe.inference.opening import load_encoder
from kepipe.inference.word_vectors import import_vectors, open_vectors
from kepipe.models.protocols import ExtensibleVocabulary
from kepipe.models.static.word_vectors import WordVectors
from kepipe.tokenization.tokenizer import load_tokenizer


def imported(folder: Path, words: list[str]) -> np.ndarray:
    vectors = np.arange(1, len(words) * 2 + 1, dtype=np.float32).reshape(-1, 2)
    import_vectors(WordVectors(words, vectors), folder, family="imported")
    model = load_encoder(folder)
    assert isinstance(model, ExtensibleVocabulary)
    table: np.ndarray = model.token_embeddings.weight.detach().numpy()
    return table


def test_imported_vectors_are_found_for_the_words_of_a_text(tmp_path: Path) -> None:
    table = imported(tmp_path, ["the", "café", ",", "北"])
    tokenizer = load_tokenizer(tmp_path)
    tokens = tokenizer.encode(["The Café, 北 zzz"]).tokens
    assert table[tokens].tolist() == [[1, 2], [3, 4], [5, 6], [7, 8], [4, 5]], "unknown words are the mean"


def test_cased_words_keep_their_case(tmp_path: Path) -> None:
    table = imported(tmp_path, ["the", "The"])
    tokens = load_tokenizer(tmp_path).encode(["The the THE"]).tokens
    assert table[tokens[:2]].tolist() == [[3, 4], [1, 2]]
    assert tokens[2] == load_tokenizer(tmp_path).role("unk")


def test_vector_of_unknown_words_is_the_files_own(tmp_path: Path) -> None:
    table = imported(tmp_path, ["a", "<unk>"])
    assert table[load_tokenizer(tmp_path).role("unk")].tolist() == [3, 4]


def test_imported_words_are_listed_unchanged(tmp_path: Path) -> None:
    imported(tmp_path, ["a", "b", "[MASK]x"])
    assert open_vectors(str(tmp_path)).words == ["a", "b", "[MASK]x"]
    with pytest.raises(ValueError, match="expected a model folder"):
        open_vectors(str(tmp_path / "none"))
