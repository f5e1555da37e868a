"""Generation: the distribution that is sampled from, the cache, and an exhaustive search."""

from __future__ import annotations

import itertools

import pytest
import torch

from kepipe.models.base import Base, build
from kepipe.models.beam_search import search
from kepipe.models.generation import (
    Prompt,
    ban_repeats,
    filter_logits,
    generate,
    greedy,
    prompt_for,
    sampling,
)
from kepipe.models.transformer import Transformer
from kepipe.nn.visibility import causal


def gpt(vocabulary: int = 11) -> Transformer:
    model = build(Base(family="gpt2", layers=2, hidden=32, heads=2, positions=16), vocabulary, 0).eval()
    with torch.no_grad():  # a fresh model is close to uniform
        model.tokens.weight *= 20
    return model


def test_filter_logits_by_hand() -> None:
    shares = torch.tensor([[0.1, 0.4, 0.2, 0.3]])
    kept = {
        (0, 1.0): [1, 1, 1, 1],
        (2, 1.0): [0, 1, 0, 1],
        (0, 0.65): [0, 1, 0, 1],
        (0, 0.75): [0, 1, 1, 1],
        (0, 0.01): [0, 1, 0, 0],
        (2, 0.5): [0, 1, 0, 0],
    }
    for (top_k, top_p), expected in kept.items():
        finite = filter_logits(shares.log(), top_k=top_k, top_p=top_p).isfinite()
        assert finite.int().tolist() == [expected], (top_k, top_p)
    cooled = filter_logits(shares.log(), temperature=0.5).softmax(-1)
    torch.testing.assert_close(cooled, shares**2 / (shares**2).sum())
    with pytest.raises(ValueError, match="temperature 0 > 0"):
        filter_logits(shares, temperature=0)


@pytest.mark.parametrize(
    ("written", "size", "banned"),
    [([1, 2, 3, 1, 2], 3, {3}), ([1, 2, 3, 1, 2], 2, {3}), ([1, 2, 1, 3, 1], 2, {2, 3}), ([1, 2], 1, {1, 2}),
     ([1, 2], 3, set()), ([1, 2, 3], 3, set())],
)  # fmt: skip
def test_tokens_that_would_repeat_an_n_gram_are_banned(
    written: list[int], size: int, banned: set[int]
) -> None:
    logits = ban_repeats(torch.zeros(2, 5), torch.tensor([written, [4] * len(written)]), size)
    assert set((logits[0] == -torch.inf).nonzero().flatten().tolist()) == banned
    assert logits[0].isfinite().sum() == 5 - len(banned)


def test_samples_have_the_filtered_distribution() -> None:
    shares = torch.tensor([0.1, 0.4, 0.2, 0.3])
    drawn = sampling(torch.Generator().manual_seed(0))(shares.log().expand(20_000, -1))
    torch.testing.assert_close(drawn.bincount() / 20_000, shares, atol=0.015, rtol=0)


def test_cached_steps_agree_with_full_forward_passes() -> None:
    model = gpt()
    prompt = torch.tensor([[3, 1, 4, 1], [5, 9, 2, 6]])
    new = generate(model, Prompt(prompt), limit=8)
    assert new.shape == (2, 8)
    whole = torch.cat([prompt, new], 1)
    with torch.no_grad():
        logits = model.vocabulary(model.decode_tokens(whole, causal()))
    assert torch.equal(greedy(logits[:, 3:-1].flatten(0, 1)).view(2, 8), new)


def test_an_exhaustive_beam_finds_the_most_probable_sequence() -> None:
    model = gpt(5)
    prompt = torch.tensor([[1, 2]])
    (found,), (scores,) = search(model, Prompt(prompt), limit=3, beams=125, length_penalty=0.0)
    everything = torch.tensor(list(itertools.product(range(5), repeat=3)))
    with torch.no_grad():
        hidden = model.decode_tokens(torch.cat([prompt.expand(125, -1), everything], 1), causal())
        steps = model.vocabulary(hidden[:, 1:-1]).log_softmax(-1).gather(2, everything[..., None])
    likelihood, order = steps.squeeze(2).sum(1).sort(descending=True)
    torch.testing.assert_close(scores, likelihood)
    assert torch.equal(found[0], everything[order[0]])


def test_invalid_arguments_are_an_error() -> None:
    with pytest.raises(ValueError, match="is 22 long; the model has 16 positions"):
        generate(gpt(), Prompt(torch.tensor([[1, 2]])), limit=20)
    with pytest.raises(ValueError, match="names no start token"):
        prompt_for(gpt(), torch.tensor([[1]]))
