"""Perplexity by hand, of a uniform model, and of a bigram model."""

from pathlib import Path

import numpy as np
import pytest
import torch

from kepipe.data.document import Document
from kepipe.inference.opening import OpenedModel
from kepipe.models.base import Base, build
from kepipe.models.lm_scorer import LMScorer
from kepipe.models.protocols import LanguageModel
from kepipe.probes.perplexity import Perplexity, compare, losses, summarise, unigram_losses
from kepipe.probes.windows import EvalWindows, cut_windows
from kepipe.tokenization.training import train_tokenizer

TEXT = "Zwölf Monde kreisen. 月球 goes around the Earth,\nand  Mars has two small moons: Phobos and Deimos."


def by_hand():
    one = np.array([1, 2])
    return EvalWindows((one, one), (one, np.array([3])), np.array([0, 1]), np.array([1, 1]), np.array([4, 2]))


def test_perplexities_by_hand():
    metrics = summarise(np.array([3.0, 3.0]), by_hand(), seed=0)
    assert metrics["token_perplexity"].value == pytest.approx(np.exp(6 / 3))
    assert metrics["word_perplexity"].value == pytest.approx(np.exp(6 / 2))
    assert metrics["bits_per_byte"].value == pytest.approx(6 / np.log(2) / 6)
    assert metrics["bits_per_byte"].low is None  # two documents give no interval
    apart = compare(np.array([3.0, 3.0]), np.array([1.0, 3.0]), by_hand(), seed=0)
    assert apart["bits_per_byte"].value == pytest.approx(2 / np.log(2) / 6)


def test_unigram_by_hand():
    found = unigram_losses(by_hand(), np.array([0, 1, 0, 3]))
    assert found == pytest.approx([-np.log(2 / 8) - np.log(1 / 8), -np.log(4 / 8)])


def test_uniform_model_has_the_vocabulary_size_as_perplexity():
    tokenizer = train_tokenizer([TEXT] * 4, "bpe", 420, True)
    model = build(Base(family="gpt2", layers=1, hidden=16, heads=1), tokenizer.vocab_size, 0)
    with torch.no_grad():
        model.tokens.weight.zero_()
    cut = cut_windows([Document("a", TEXT)], tokenizer, 4)
    metrics = summarise(losses(LMScorer(model, tokenizer, "append"), cut), cut, seed=0)
    assert metrics["token_perplexity"].value == pytest.approx(tokenizer.vocab_size, rel=1e-5)


class Bigrams:
    """p(b | a) = (count of a b + 1) / (count of a + V): a language model without a parameter or a tensor."""

    def __init__(self, tokenizer, tokens):
        self.tokenizer = tokenizer
        self.counts = np.zeros((tokenizer.vocab_size, tokenizer.vocab_size))
        np.add.at(self.counts, (tokens[:-1], tokens[1:]), 1)

    def log_likelihoods(self, prompts, rows, targets):
        p_VV = (self.counts + 1) / (self.counts.sum(1, keepdims=True) + len(self.counts))
        found = np.zeros((len(targets), max(map(len, targets))))
        for n, (row, target) in enumerate(zip(rows, targets, strict=True)):
            before = np.append(prompts[row][-1:], target[:-1])
            found[n, : len(target)] = np.log(p_VV[before, target])
        return found


def test_bigram_model_is_scored_through_the_protocol():
    """Trained on 1 2 1 3 1 2: after 1 come 2, 3, 2; after 2 comes 1; after 3 comes 1."""
    tokenizer = train_tokenizer([TEXT] * 4, "bpe", 420, True)
    model = Bigrams(tokenizer, np.array([1, 2, 1, 3, 1, 2]))
    assert isinstance(model, LanguageModel)
    windows = EvalWindows(
        (np.array([5, 1]), np.array([2])),
        (np.array([2, 1]), np.array([3])),
        np.array([0, 1]),
        np.array([1, 1]),
        np.array([3, 2]),
    )
    probe = Perplexity(windows, np.ones(tokenizer.vocab_size, np.int64))
    answers = probe.answer(OpenedModel(Path(), language_model=model), lambda _: None)
    size = tokenizer.vocab_size
    first = np.log(3 / (3 + size)) + np.log(2 / (1 + size))
    second = np.log(1 / (1 + size))
    assert answers["losses"] == pytest.approx([-first, -second])
    metrics = probe.score(answers, 0)
    assert metrics["token_perplexity"].value == pytest.approx(np.exp(-(first + second) / 3))
    assert metrics["bits_per_byte"].value == pytest.approx(-(first + second) / np.log(2) / 5)
    assert probe.difference(answers, answers, 0)["bits_per_byte"].value == 0


def test_perplexity_rejects_a_model_without_likelihoods():
    probe = Perplexity(by_hand(), np.ones(4, np.int64))
    with pytest.raises(ValueError, match="perplexity needs a model"):
        probe.answer(OpenedModel(Path("masks")), lambda _: None)
