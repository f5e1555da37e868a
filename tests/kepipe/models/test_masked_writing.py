"""An encoder that writes at masks: the cache against full forward passes, and searches against all texts."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from kepipe.data.batch import Batch
from kepipe.models.base import Base, build
from kepipe.models.beam_search import search
from kepipe.models.generation import generate, sampling
from kepipe.models.masked_writing import masked_prompt, segments_of
from kepipe.models.transformer import Transformer

MASK, PAD = 3, 0
BASES: dict[str, dict[str, Any]] = {
    "bert": {"family": "bert"},
    "unilm": {"family": "bert", "segments": 6},
    "roberta": {"family": "roberta"},
    "modernbert": {"family": "modernbert"},
}


def encoder(name: str, vocabulary: int = 23) -> Transformer:
    base = Base.model_validate({**BASES[name], "layers": 3, "hidden": 32, "heads": 2, "positions": 128})
    model = build(base, vocabulary, 0).eval()
    with torch.no_grad():  # a fresh model is close to uniform
        for weight in model.parameters():
            if weight.ndim == 2:
                weight.mul_(5)
    return model


def next_logits(model: Transformer, source: list[int], written: list[int]) -> Tensor:
    """By a forward pass over source, written tokens and a mask, [V]."""
    tokens = torch.tensor([[*source, *written, MASK]])
    is_source = (torch.arange(tokens.shape[1]) < len(source))[None].long()
    first, second = segments_of(model.config.segments)
    segments = torch.where(is_source > 0, first, second)
    batch = Batch(tokens, torch.ones_like(tokens), segments, visibility="prefix", prefix=is_source)
    with torch.no_grad():
        logits_V: Tensor = model.vocabulary(model(batch)[0, -1]).float()
    return logits_V


def padded(sources: list[list[int]]) -> tuple[Tensor, Tensor]:
    longest = max(map(len, sources))
    tokens = torch.tensor([[*source, *[PAD] * (longest - len(source))] for source in sources])
    there = torch.arange(longest) < torch.tensor([[len(source)] for source in sources])
    return tokens, there.long()


def test_segments_are_those_of_pretraining() -> None:
    assert [segments_of(count) for count in (0, 1, 2, 6)] == [(0, 0), (0, 0), (0, 1), (4, 5)]


@pytest.mark.parametrize("name", BASES)
def test_cached_steps_agree_with_full_forward_passes(name: str) -> None:
    model = encoder(name)
    torch.manual_seed(1)
    sources = [torch.randint(4, 23, (length,)).tolist() for length in (5, 76, 70)]
    state = masked_prompt(model, *padded(sources), MASK).begin(model, 8)
    state.select(torch.tensor([2, 0, 1]))
    sources = [sources[2], sources[0], sources[1]]
    written = torch.randint(4, 23, (3, 7))
    with torch.no_grad():
        for step in range(8):
            for row, source in enumerate(sources):
                expected = next_logits(model, source, written[row, :step].tolist())
                assert expected.std() > 0.1
                torch.testing.assert_close(state.logits[row], expected, atol=2e-4, rtol=1e-4)
            if step < 7:
                state.append(written[:, step])


def test_log_likelihoods_are_those_at_the_masks() -> None:
    model = encoder("unilm")
    sources, written = [[5, 6, 7], [8, 9]], [[4, 5, 6], [7, 8, 9]]
    with torch.no_grad():
        state = masked_prompt(model, *padded(sources), MASK).begin(model, 3)
        found = state.log_likelihoods(torch.tensor(written))
    for row, (source, tokens) in enumerate(zip(sources, written, strict=True)):
        for place, token in enumerate(tokens):
            expected = next_logits(model, source, tokens[:place]).log_softmax(-1)[token]
            torch.testing.assert_close(found[row, place], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("no_repeat_ngram_size", [0, 1])
def test_greedy_writing_takes_the_most_probable_token_at_each_mask(no_repeat_ngram_size: int) -> None:
    model = encoder("bert")
    sources = [[5, 6, 7, 8], [9, 10]]
    prompt = masked_prompt(model, *padded(sources), MASK)
    found = generate(model, prompt, limit=6, no_repeat_ngram_size=no_repeat_ngram_size).tolist()
    for source, tokens in zip(sources, found, strict=True):
        for place, token in enumerate(tokens):
            logits = next_logits(model, source, tokens[:place])
            if no_repeat_ngram_size:
                logits[tokens[:place]] = -torch.inf
            assert token == int(logits.argmax())


@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
def test_an_exhaustive_beam_finds_the_best_of_all_texts(length_penalty: float) -> None:
    model, source, end = encoder("unilm", 5), [1, 4, 2], 2
    scores: dict[tuple[int, ...], float] = {}
    for tokens in itertools.product(range(5), repeat=3):
        text = tokens[: tokens.index(end) + 1] if end in tokens else tokens
        steps = [next_logits(model, source, list(text[:n])).log_softmax(-1)[t] for n, t in enumerate(text)]
        scores[text] = float(sum(steps)) / len(text) ** length_penalty
    prompt = masked_prompt(model, torch.tensor([source]), None, MASK)
    (found,), (found_scores,) = search(
        model, prompt, limit=3, beams=60, end=end, length_penalty=length_penalty
    )
    best = sorted(scores, key=lambda text: -scores[text])[:5]
    for text, tokens, score in zip(best, found.tolist(), found_scores.tolist(), strict=False):
        assert tuple(tokens[: len(text)]) == text
        assert score == pytest.approx(scores[text], abs=1e-4)


def test_longest_text_fills_the_positions() -> None:
    model = encoder("bert")
    prompt = masked_prompt(model, torch.full((1, 120), 5), None, MASK)
    assert generate(model, prompt, limit=8).shape == (1, 8)
    with pytest.raises(ValueError, match="is 129 long; the model has 128 positions"):
        generate(model, prompt, limit=9)


def test_samples_differ_by_seed() -> None:
    model = encoder("bert")
    prompt = masked_prompt(model, torch.tensor([[5, 6]]), None, MASK)
    draws = [
        generate(model, prompt, limit=8, sampler=sampling(torch.Generator().manual_seed(seed))).tolist()
        for seed in (0, 0, 1)
    ]
    assert draws[0] == draws[1] != draws[2]
