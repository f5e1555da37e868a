"""A network as a language model: log-likelihoods do not depend on where a text is split; greedy generation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kepipe.arrays import Ints
from kepipe.models.networks.language_model import NetworkLanguageModel
from kepipe.models.networks.network import ReadingNetwork
from kepipe.models.next_token import continue_texts
from kepipe.models.protocols import LanguageModel, NextTokenModel, TextGenerator
from tests.support.networks import network
from tests.support.tasks import tokenizer

WRITERS = ["nnlm", "lstm", "transformer-xl", "xlnet"]


def reader(family: str) -> NetworkLanguageModel:
    words = tokenizer()
    model = network(family, 5, words.vocab_size)
    assert isinstance(model, ReadingNetwork)
    return NetworkLanguageModel(model, words)


def texts(*lengths: int) -> list[Ints]:
    rng = np.random.default_rng(0)
    return [rng.choice(tokenizer().ordinary, length) for length in lengths]


@pytest.mark.parametrize("family", WRITERS)
def test_the_log_likelihood_does_not_depend_on_the_split(family: str) -> None:
    model = reader(family)
    (text,) = texts(12)
    first = model.log_likelihoods([text[:1]], [0], [text[1:]])[0]
    for cut in (2, 7, 11):
        rest = model.log_likelihoods([text[:cut]], [0], [text[cut:]])[0]
        np.testing.assert_allclose(rest, first[cut - 1 :], atol=1e-5)
    logits_UV = model.model.vocabulary(model.model.read(torch.from_numpy(text[None]))[0][0, :-1])
    expected = logits_UV.log_softmax(-1)[torch.arange(11), torch.from_numpy(text[1:])]
    np.testing.assert_allclose(first, expected.detach(), atol=1e-5)


@pytest.mark.parametrize("family", WRITERS)
def test_a_text_is_preceded_by_the_separator(family: str) -> None:
    model = reader(family)
    (text,) = texts(5)
    nothing, separator = np.zeros(0, np.int64), np.array([model.tokenizer.sep])
    whole, after = model.log_likelihoods([nothing, separator], [0, 1], [text, text])
    np.testing.assert_allclose(whole, after, atol=1e-6)


@pytest.mark.parametrize("family", WRITERS)
def test_prompts_and_targets_of_all_lengths_are_scored_in_one_batch(family: str) -> None:
    model = reader(family)
    prompts, targets, rows = texts(3, 0, 9), texts(4, 1, 6, 2), [2, 0, 1, 2]
    together_NU = model.log_likelihoods(prompts, rows, targets)
    assert together_NU.shape == (4, 6)
    for found_U, row, target in zip(together_NU, rows, targets, strict=True):
        alone_U = model.log_likelihoods([prompts[row]], [0], [target])[0]
        np.testing.assert_allclose(found_U[: len(target)], alone_U, atol=1e-5)
        assert not found_U[len(target) :].any()


@pytest.mark.parametrize("family", WRITERS)
def test_next_token_probabilities_agree_with_scores(family: str) -> None:
    model = reader(family)
    assert isinstance(model, LanguageModel)
    assert isinstance(model, NextTokenModel)
    prompts = texts(0, 1, 7)
    found_BV = model.log_probabilities(prompts)
    written = np.append(model.tokenizer.ordinary, model.end)
    for prompt, found_V in zip(prompts, found_BV, strict=True):
        scored = model.log_likelihoods([prompt], [0] * len(written), [np.array([token]) for token in written])
        np.testing.assert_allclose(found_V[written], scored[:, 0], atol=1e-5)
    assert np.isneginf(found_BV[:, [model.tokenizer.pad, model.tokenizer.mask]]).all()


@pytest.mark.parametrize("family", WRITERS)
def test_generation_is_greedy(family: str) -> None:
    model = reader(family)
    assert isinstance(model, TextGenerator)
    prompts = texts(3, 0)
    for prompt, written in zip(prompts, model.generate(prompts, limit=4), strict=True):
        assert len(written) == 4
        for count, token in enumerate(written):
            text = np.append(prompt, written[:count])
            assert token == model.log_probabilities([text])[0].argmax()
    ends = continue_texts(model, prompts, 5, lambda rows: np.full(len(rows), model.end))
    assert [len(row) for row in ends] == [0, 0]
