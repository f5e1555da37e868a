"""Stretches cover the text once, perplexities by hand, a uniform model exactly."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kepipe.data.document import Document
from kepipe.models.base import Base, build
from kepipe.models.lm_scorer import LMScorer
from kepipe.probes.perplexity import (
    EvalWindows,
    compare,
    cut_windows,
    draw_windows,
    losses,
    summarise,
    unigram_losses,
)
from kepipe.tokenization.training import train_tokenizer

TEXT = "Zwölf Monde kreisen. 月球 goes around the Earth,\nand  Mars has two small moons: Phobos and Deimos."
TOKENIZERS = {
    kind: train_tokenizer([TEXT] * 4, kind, size, True)
    for kind, size in (("bpe", 420), ("wordpiece", 300), ("unigram", 160))
}


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_every_token_after_the_first_stretch_is_scored_once(kind):
    tokenizer = TOKENIZERS[kind]
    cut = cut_windows([Document("a", TEXT), Document("b", "Mars"), Document("c", TEXT)], tokenizer, 5)
    tokens = tokenizer.encode([TEXT]).tokens
    assert np.concatenate(cut.targets).tolist() == tokens[5:].tolist() * 2
    ours = [prompt for prompt, of in zip(cut.prompts, cut.documents, strict=True) if of == 0]
    assert np.concatenate(ours).tolist() == tokens[: 5 * len(ours)].tolist()
    assert set(cut.documents) == {0, 2}


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet="ab é月 \n🌍", min_size=1, max_size=60), st.integers(1, 6))
def test_words_and_bytes_of_the_text_are_counted_once(text, size):
    tokenizer = TOKENIZERS["bpe"]
    cut = cut_windows([Document("a", text)], tokenizer, size)
    encoded = tokenizer.encode([text])
    if not len(cut):
        assert len(encoded.tokens) <= size
        return
    rest = text[encoded.starts[size] :]
    before = text[: encoded.starts[size]]
    inside_word = bool(before) and not before[-1].isspace() and not rest[0].isspace()
    assert cut.bytes.sum() == len(rest.encode())
    assert cut.words.sum() == len(rest.split()) - inside_word


def by_hand():
    one = np.array([1, 2])
    return EvalWindows((one, one), (one, np.array([3])), np.array([0, 1]), np.array([1, 1]), np.array([4, 2]))


def test_perplexities_by_hand():
    told = summarise(np.array([3.0, 3.0]), by_hand(), seed=0)
    assert told["token_perplexity"]["value"] == pytest.approx(np.exp(6 / 3))
    assert told["word_perplexity"]["value"] == pytest.approx(np.exp(6 / 2))
    assert told["bits_per_byte"]["value"] == pytest.approx(6 / np.log(2) / 6)
    assert told["bits_per_byte"]["low"] is None  # two documents give no interval
    apart = compare(np.array([3.0, 3.0]), np.array([1.0, 3.0]), by_hand(), seed=0)
    assert apart["bits_per_byte"]["value"] == pytest.approx(2 / np.log(2) / 6)


def test_unigram_by_hand():
    found = unigram_losses(by_hand(), np.array([0, 1, 0, 3]))
    assert found == pytest.approx([-np.log(2 / 8) - np.log(1 / 8), -np.log(4 / 8)])


def test_a_model_without_knowledge_has_the_vocabulary_as_perplexity():
    tokenizer = TOKENIZERS["bpe"]
    model = build(Base(family="gpt2", layers=1, hidden=16, heads=1), tokenizer.vocab_size, 0)
    with torch.no_grad():
        model.tokens.weight.zero_()
    cut = cut_windows([Document("a", TEXT)], tokenizer, 4)
    told = summarise(losses(LMScorer(model, tokenizer, "append"), cut), cut, seed=0)
    assert told["token_perplexity"]["value"] == pytest.approx(tokenizer.vocab_size, rel=1e-5)


def test_too_short_documents_are_a_clear_error():
    with pytest.raises(ValueError, match="no held-out document has more than 62 tokens"):
        draw_windows([Document("a", "Mars")], TOKENIZERS["bpe"], np.random.default_rng(0))
