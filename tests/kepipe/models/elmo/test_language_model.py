"""The forward direction as a language model: the chain rule, spelled words, and generation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kepipe.models.elmo.language_model import ElmoLanguageModel
from kepipe.models.protocols import NextTokenModel, OwnVocabulary
from kepipe.tokenization.tokenizer import Tokenizer
from kepipe.tokenization.trainers import words_or_bytes_tokenizer
from tests.support.elmo import OPTIONS, WORDS, lstm, random_weights, small_model, word_vector

LETTERS = np.log(np.arange(1, 258) / np.arange(1, 258).sum())
TEXT = "the moon of unheard 中 Mär , the"


@pytest.fixture(scope="module")
def model() -> ElmoLanguageModel:
    made = small_model()
    assert made.head is not None
    torch.nn.init.normal_(made.head.get_parameter("bias"), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        made.letters.copy_(torch.from_numpy(LETTERS))
    return ElmoLanguageModel(made, words_or_bytes_tokenizer(WORDS))


@pytest.fixture(scope="module")
def tokenizer(model: ElmoLanguageModel) -> Tokenizer:
    return model.tokenizer


def forward_states(words: list[str]) -> np.ndarray:
    weights = random_weights(OPTIONS)
    first, _ = lstm(weights, OPTIONS, 0, 0, [word_vector(weights, OPTIONS, word) for word in words])
    second, _ = lstm(weights, OPTIONS, 0, 1, first)
    return np.stack(first) + np.stack(second)


def test_the_likelihood_of_a_text_is_the_product_over_its_words(
    model: ElmoLanguageModel, tokenizer: Tokenizer
) -> None:
    tokens, words = tokenizer.encode([TEXT]).tokens, TEXT.split()
    found_T = model.log_likelihoods([tokens[:0]], [0], [tokens])[0]
    head, classes = model.model.head, ["</S>", "<UNK>", *WORDS]
    assert head is not None
    weight, bias = (head.get_parameter(name).detach().numpy() for name in ("weight", "bias"))
    states = forward_states(["<S>", *words[:-1]])
    place = 0
    for word, state in zip(words, states, strict=True):
        logits = weight @ state + bias
        known = classes.index(word) if word in classes else 1
        expected = logits[known] - np.log(np.exp(logits).sum())
        size = 1 if word in classes else 1 + len(word.encode())
        letters = [] if word in classes else [LETTERS[letter] for letter in [*word.encode(), 256]]
        np.testing.assert_allclose(found_T[place], expected + sum(letters[-1:]), atol=1e-6)
        np.testing.assert_allclose(found_T[place + 1 : place + size], letters[:-1], atol=1e-6)
        place += size
    assert place == len(tokens)


@pytest.mark.parametrize("cut", [1, 6, 11, 17])
def test_the_split_into_prompt_and_target_does_not_matter(
    model: ElmoLanguageModel, tokenizer: Tokenizer, cut: int
) -> None:
    tokens = tokenizer.encode([TEXT]).tokens
    whole_T = model.log_likelihoods([tokens[:0]], [0], [tokens])[0]
    shared = model.log_likelihoods(
        [tokens[:2], tokens[:cut]], [1, 0, 1], [tokens[cut:], tokens[2:], tokens[cut:-1]]
    )
    np.testing.assert_allclose(shared[0, : len(tokens) - cut], whole_T[cut:], atol=1e-6)
    np.testing.assert_allclose(shared[1, : len(tokens) - 2], whole_T[2:], atol=1e-6)
    np.testing.assert_allclose(shared[2, : len(tokens) - cut - 1], whole_T[cut:-1], atol=1e-6)
    assert not shared[2, len(tokens) - cut - 1 :].any(), "0 on padding"


def test_next_token_probabilities_sum_to_one_without_unknown_words(
    model: ElmoLanguageModel, tokenizer: Tokenizer
) -> None:
    assert isinstance(model, NextTokenModel)
    texts = [tokenizer.encode([text]).tokens for text in ("", "the moon", "Mär")]
    found_BV = model.log_probabilities(texts)
    for row, text in enumerate(texts):
        for token in tokenizer.encode([" ".join(WORDS)]).tokens:
            alone = model.log_likelihoods([text], [0], [np.array([token])])[0, 0]
            np.testing.assert_allclose(found_BV[row, token], alone, atol=1e-6)
        opened = model.log_likelihoods([text], [0], [tokenizer.encode(["x"]).tokens[:1]])[0, 0]
        unknown = np.exp(opened - LETTERS[256])
        np.testing.assert_allclose(np.exp(found_BV[row]).sum() + unknown, 1.0, atol=1e-6)
    assert np.isneginf(found_BV[:, tokenizer.pad]).all()


def test_only_known_words_are_generated(model: ElmoLanguageModel, tokenizer: Tokenizer) -> None:
    prompts = [tokenizer.encode([text]).tokens for text in ("the", "Mär of")]
    for text in model.generate(prompts, limit=5):
        assert len(text) <= 5
        assert all(word in WORDS for word in tokenizer.decode(text).split())


def test_spelled_words_score_as_unknown(model: ElmoLanguageModel, tokenizer: Tokenizer) -> None:
    assert isinstance(model, OwnVocabulary)
    assert model.unknown(tokenizer.encode(["the é"]).tokens).tolist() == [False, True, True, True]
