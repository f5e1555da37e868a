"""An n-gram model behind the protocols: targets with shared prompts, generation, damaged folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kepipe.models.next_token import continue_texts
from kepipe.models.ngram import arpa
from kepipe.models.ngram.counting import BOS
from kepipe.models.ngram.fitting import save
from kepipe.models.ngram.model import NgramModel, load
from kepipe.models.ngram.vocabulary import SPECIAL, words_of
from kepipe.models.prompting import unknown
from kepipe.tokenization.training import train_tokenizer
from kepipe.tokenization.word_level import words_tokenizer
from tests.support.ngrams import estimated, zipf

WORDS = [*SPECIAL, *(f"w{number}" for number in range(3, 30))]


def model_in(folder: Path, order: int = 4) -> NgramModel:
    tables = estimated(zipf(1, 120, 30), 30, order, "kneser-ney", folder)
    words_tokenizer(WORDS).save(folder / "out")
    save(folder / "out", tables, WORDS, folder / "out", {})
    return load(folder / "out")


@pytest.mark.parametrize("order", [1, 2, 4])
def test_n_gram_targets_with_shared_prompts_are_scored_like_texts(order: int, tmp_path: Path) -> None:
    model = model_in(tmp_path, order)
    prompts = [np.array(row, np.int64) for row in ([], [3], [4, 3], [3, 5, 4, 3, 6, 3])]
    targets = [np.array(row, np.int64) for row in ([3, 4], [5], [4, 4, 3, 29, 3], [3], [6, 6])]
    rows = [3, 0, 1, 2, 3]
    found = model.log_likelihoods(prompts, rows, targets)
    assert found.shape == (5, 5)
    for number, (row, target) in enumerate(zip(rows, targets, strict=True)):
        text = np.concatenate([[BOS], prompts[row], target])
        expected = model.tables.score(text)[-len(target) :] * np.log(10)
        assert found[number, : len(target)] == pytest.approx(expected)
        assert not found[number, len(target) :].any()


def test_n_gram_next_token_probabilities_equal_scores(tmp_path: Path) -> None:
    model = model_in(tmp_path)
    texts = [np.array(row, np.int64) for row in ([], [3, 4], [3, 5, 4, 3, 6, 3])]
    found = model.log_probabilities(texts)
    tokens = [np.array([token]) for token in range(3, 30)]
    for text, values in zip(texts, found, strict=True):
        scored = model.log_likelihoods([text], [0] * len(tokens), tokens)[:, 0]
        assert values[3:30] == pytest.approx(scored)
    assert np.isneginf(found[:, :2]).all()


def test_n_gram_model_generates_the_likeliest_words(tmp_path: Path) -> None:
    text = [[3, 4, 5, 6]] * 9 + [[7, 8]]
    tables = estimated(text, 30, 3, "witten-bell", tmp_path)
    words_tokenizer(WORDS).save(tmp_path / "out")
    save(tmp_path / "out", tables, WORDS, tmp_path / "out", {})
    model = load(tmp_path / "out")
    prompts = [np.array([3]), np.array([7]), np.array([], np.int64)]
    assert [row.tolist() for row in model.generate(prompts, limit=9)] == [[4, 5, 6], [8], [3, 4, 5, 6]]
    assert [len(row) for row in model.generate(prompts, limit=2)] == [2, 1, 2]
    always_8 = continue_texts(model, prompts, 3, lambda rows: np.full(len(rows), 8))
    assert [row.tolist() for row in always_8] == [[8, 8, 8]] * 3


def test_special_tokens_are_no_words(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(["Io: Jupiter. Deimos: Mars."] * 4, "bpe", 420)
    words = words_of(tokenizer)
    assert tuple(words[:3]) == SPECIAL
    assert len(words) == len(set(words)) == 3 + len(tokenizer.ordinary)


def test_tokens_outside_the_model_are_unknown(tmp_path: Path) -> None:
    (tmp_path / "m.arpa").write_text(
        "\\data\\\nngram 1=3\n\n\\1-grams:\n-1 <unk>\n-0.5 </s>\n-0.25 a\n\n\\end\\\n"
    )
    tables, words = arpa.read(tmp_path / "m.arpa")
    words_tokenizer([*words, "b"]).save(tmp_path)
    save(tmp_path, tables, words, tmp_path, {})
    model = load(tmp_path)
    found = model.log_likelihoods([np.array([4])], [0, 0], [np.array([4]), np.array([3])]) / np.log(10)
    assert found[:, 0] == pytest.approx([-1, -0.25])
    assert unknown(model, np.array([4, 3, 0])).tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("keys-3.npy", b"", "damaged"),
        ("log_probs-2.npy", None, "missing"),
        ("config.json", b'{"format": "kepipe-ngram/1", "order": 9, "bits": 5, "vocabulary": 30}', "`order`"),
        (
            "config.json",
            b'{"format": "kepipe-ngram/1", "order": 2, "bits": 2, "vocabulary": 30}',
            "30 words do not",
        ),
        ("config.json", b'{"format": "kepipe-ngram/0", "order": 2}', "another version"),
        ("words.utf8", b"abc", "damaged"),
    ],
)
def test_damaged_n_gram_folder_is_rejected(
    name: str, content: bytes | None, message: str, tmp_path: Path
) -> None:
    model_in(tmp_path)
    file = tmp_path / "out" / name
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "out")


def test_inconsistent_n_gram_columns_are_rejected(tmp_path: Path) -> None:
    model_in(tmp_path)
    np.save(tmp_path / "out" / "weights-2.npy", np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="are inconsistent"):
        load(tmp_path / "out")
    np.save(tmp_path / "out" / "weights-2.npy", np.zeros(3))
    with pytest.raises(ValueError, match="expected a one-dimensional array of float32"):
        load(tmp_path / "out")
