"""word2vec and fastText on a shard agree with gensim on the same lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gensim.models import FastText, Word2Vec

from kepipe.arrays import Ints
from kepipe.data.alignment import DOCUMENT, Columns
from kepipe.data.shards import Shard, ShardWriter, open_shard
from kepipe.models.static import text, word2vec
from kepipe.models.static.config import FastTextBase, Word2vecBase
from kepipe.models.static.text import Words, documents, words_of, write_lines
from kepipe.tokenization.tokenizer import Tokenizer
from kepipe.tokenization.word_level import word_level_tokenizer

NAMES = ["alpha", "beta", "gamma", "delta", "rare", "never"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return word_level_tokenizer(NAMES)


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Shard:
    """Documents of four frequent words, of which two are adjacent, one rare word, and unknown tokens."""
    rng = np.random.default_rng(0)
    texts = [rng.choice(["alpha beta", "gamma delta", "zeta"], size).tolist() for size in [1200, 30, 1, 400]]
    texts.append(["rare"])
    encoded = [tokenizer.encode([" ".join(words)]).tokens for words in texts]
    return write(tmp_path_factory.mktemp("shard"), encoded)


def write(folder: Path, texts: list[Ints]) -> Shard:
    lengths = np.array([len(tokens) for tokens in texts])
    bounds = np.zeros(lengths.sum(), np.uint8)
    bounds[np.cumsum(lengths) - lengths] = DOCUMENT
    columns = Columns(np.concatenate(texts), bounds, np.full(len(bounds), -1, np.int32), lengths, 0, 0)
    with ShardWriter(folder, 100) as writer:
        writer.append(columns, map(str, range(len(texts))))
        writer.finish()
    return open_shard(folder)


def test_words_are_the_frequent_tokens_of_text(shard: Shard, tokenizer: Tokenizer) -> None:
    words = words_of(shard, tokenizer, 5)
    assert sorted(words.names) == ["alpha", "beta", "delta", "gamma"]
    assert words.counts.tolist() == sorted(words.counts.tolist(), reverse=True)
    assert words.of_token[words.tokens].tolist() == [0, 1, 2, 3]
    assert (words.of_token >= 0).sum() == 4
    assert "rare" in words_of(shard, tokenizer, 1).names
    with pytest.raises(ValueError, match="no word occurs 5000 times in the text"):
        words_of(shard, tokenizer, 5000)


@pytest.mark.parametrize("stretch", [1, 100, 1 << 20])
def test_documents_keep_their_words_for_any_block_size(
    stretch: int, shard: Shard, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "STRETCH", stretch)
    words = words_of(shard, tokenizer, 5)
    found = [
        words_N[documents_N == number].tolist()
        for words_N, documents_N in documents(shard, words)
        for number in np.unique(documents_N)
    ]
    tokens = np.split(np.asarray(shard.tokens, np.int64), shard.documents[1:-1])
    expected = [[w for w in words.of_token[document].tolist() if w >= 0] for document in tokens]
    assert found == [document for document in expected if document]


def lines(shard: Shard, words: Words, folder: Path) -> list[list[str]]:
    count = write_lines(shard, words, words.names, folder / "lines")
    found = [line.split() for line in (folder / "lines").read_text().splitlines()]
    assert len(found) == count
    return found


def test_long_documents_are_split_into_lines(shard: Shard, tokenizer: Tokenizer, tmp_path: Path) -> None:
    words = words_of(shard, tokenizer, 5)
    found = lines(shard, words, tmp_path)
    assert max(map(len, found)) == text.LONGEST
    assert sum(map(len, found)) == words.counts.sum()


@pytest.mark.parametrize(
    ("settings", "theirs"),
    [
        ({}, {"sg": 1, "negative": 5, "hs": 0}),
        ({"architecture": "cbow", "subsample": 0}, {"sg": 0, "negative": 5, "hs": 0, "sample": 0}),
        ({"loss": "hierarchical-softmax"}, {"sg": 1, "negative": 0, "hs": 1}),
    ],
)
def test_vectors_agree_with_gensim_on_the_same_sentences(
    settings: dict[str, Any], theirs: dict[str, Any], shard: Shard, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    """Words with equal counts have the same order too, since gensim's sort is stable."""
    words = words_of(shard, tokenizer, 5)
    base = Word2vecBase(hidden=8, epochs=2, **settings)
    found = word2vec.train(base, shard, words, tmp_path / "scratch", seed=3).words
    again = word2vec.train(base, shard, words, tmp_path / "scratch", seed=3).words
    assert np.array_equal(found, again)
    rest = {"vector_size": 8, "window": 5, "sample": 1e-3, "alpha": 0.025} | theirs
    expected = Word2Vec(min_count=5, workers=1, epochs=2, seed=3, **rest)
    expected.build_vocab_from_freq(dict(zip(words.names, words.counts.tolist(), strict=True)))
    file = tmp_path / "sentences"
    count = write_lines(shard, words, words.names, file)
    expected.train(corpus_file=str(file), total_examples=count, total_words=int(words.counts.sum()), epochs=2)
    assert np.array_equal(found, expected.wv[words.names])
    assert not np.array_equal(found, word2vec.train(base, shard, words, tmp_path / "s", seed=4).words)


def test_a_word_without_a_vector_is_composed_as_gensim_does(
    shard: Shard, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    words = words_of(shard, tokenizer, 5)
    base = FastTextBase(hidden=8, epochs=2, buckets=500)
    found = word2vec.train(base, shard, words, tmp_path / "scratch", seed=3)
    assert found.parts is not None
    expected = FastText(
        vector_size=8, min_count=5, workers=1, seed=3, sg=1, epochs=2, bucket=500, min_n=3, max_n=6
    )
    expected.build_vocab_from_freq(dict(zip(words.names, words.counts.tolist(), strict=True)))
    file = tmp_path / "sentences"
    count = write_lines(shard, words, words.names, file)
    expected.train(corpus_file=str(file), total_examples=count, total_words=int(words.counts.sum()), epochs=2)
    assert np.array_equal(found.words, expected.wv[words.names])
    for word in ("alphabet", "gammadelta", "北京市"):
        assert word2vec.compose(word, found.parts, base.subwords) == pytest.approx(
            expected.wv[word], abs=1e-6
        )
    with pytest.raises(ValueError, match="nor of any of its subwords"):
        word2vec.compose("", found.parts, base.subwords)
