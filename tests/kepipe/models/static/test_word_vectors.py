"""Nearest words, analogies and scores agree with gensim."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors
from gensim.test.utils import datapath

from kepipe.models.static import scores
from kepipe.models.static.word_vectors import WordVectors


@pytest.fixture(scope="module")
def questions() -> dict[str, list[tuple[str, str, str, str]]]:
    return scores.read_analogies(Path(datapath("questions-words.txt")))


@pytest.fixture(scope="module")
def both(questions: dict[str, list[tuple[str, str, str, str]]]) -> tuple[WordVectors, KeyedVectors]:
    """Vectors that satisfy some of the analogies: the second word of a pair is the first plus an offset per section."""
    rng = np.random.default_rng(1)
    place: dict[str, np.ndarray] = {}
    for section in questions.values():
        step = rng.normal(size=40)
        for a, b, c, d in section:
            for first, second in ((a, b), (c, d)):
                place.setdefault(first.lower(), rng.normal(size=40))
                place.setdefault(
                    second.lower(), place[first.lower()] + step + rng.normal(size=40) * rng.random() * 2
                )
    words = sorted(place)[: len(place) * 3 // 4]
    vectors = np.array([place[word] for word in words], np.float32)
    theirs = KeyedVectors(40)
    theirs.add_vectors(words, vectors)
    return WordVectors(words, vectors), theirs


def test_nearest_words_agree_with_gensim(both: tuple[WordVectors, KeyedVectors]) -> None:
    ours, theirs = both
    for word in ours.words[::97]:
        found, expected = ours.nearest(word, 12), theirs.most_similar(word, topn=12)
        assert [name for name, _ in found] == [name for name, _ in expected]
        assert [value for _, value in found] == pytest.approx([value for _, value in expected], abs=1e-5)


def test_analogies_agree_with_gensim(both: tuple[WordVectors, KeyedVectors]) -> None:
    ours, theirs = both
    words = ours.words
    for a, b, c in zip(words[::131], words[7::131], words[11::131], strict=False):
        found, expected = ours.analogy(a, b, c, 5), theirs.most_similar([b, c], [a], topn=5)
        assert [name for name, _ in found] == [name for name, _ in expected]
        assert [value for _, value in found] == pytest.approx([value for _, value in expected], abs=1e-5)


def test_scores_of_analogies_agree_with_gensim(
    both: tuple[WordVectors, KeyedVectors], questions: dict[str, list[tuple[str, str, str, str]]]
) -> None:
    ours, theirs = both
    found = scores.score_analogies(ours, questions)
    _, expected = theirs.evaluate_word_analogies(datapath("questions-words.txt"))
    for section in expected[:-1]:
        score = found[section["section"]]
        assert (score.right, score.asked) == (
            len(section["correct"]),
            len(section["correct"]) + len(section["incorrect"]),
        )
    right, asked = (sum(getattr(score, name) for score in found.values()) for name in ("right", "asked"))
    assert 0.05 < right / asked < 0.95
    assert sum(score.questions for score in found.values()) == 19544


def test_similarity_agrees_with_gensim() -> None:
    pairs = scores.read_pairs(Path(datapath("wordsim353.tsv")))
    words = sorted({word.lower() for first, second, _ in pairs for word in (first, second)})[::2]
    vectors = np.random.default_rng(2).normal(size=(len(words), 20)).astype(np.float32)
    theirs = KeyedVectors(20)
    theirs.add_vectors(words, vectors)
    found = scores.score_similarity(WordVectors(words, vectors), pairs)
    _, expected, unknown = theirs.evaluate_word_pairs(datapath("wordsim353.tsv"))
    assert found.spearman == pytest.approx(expected.statistic, abs=1e-6)
    assert found.asked == round(len(pairs) * (1 - unknown / 100))
    assert found.pairs == len(pairs) == 353


def test_the_error_for_a_missing_word_suggests_a_similar_one() -> None:
    vectors = WordVectors(["queen", "king"], np.eye(2, dtype=np.float32))
    with pytest.raises(ValueError, match=r"no vector of 'quen'.*queen"):
        vectors.nearest("quen")


def test_a_zero_vector_has_no_neighbours() -> None:
    vectors = WordVectors(["a", "b", "none"], np.array([[1, 0], [1, 1], [0, 0]], np.float32))
    assert dict(vectors.nearest("a")) == {"b": pytest.approx(0.5**0.5), "none": 0.0}


@pytest.mark.parametrize(
    ("text", "read", "message"),
    [
        (": s\na b c\n", scores.read_analogies, ":2: expected four words"),
        ("a\tb\tc\n", scores.read_pairs, ":1: expected two words and a number"),
    ],
)
def test_errors_of_evaluation_files_have_a_line_number(
    text: str, read: object, message: str, tmp_path: Path
) -> None:
    (tmp_path / "set").write_text(text)
    with pytest.raises(ValueError, match=message):
        read(tmp_path / "set")  # type: ignore[operator]
