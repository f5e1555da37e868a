"""Attention heads that are initialised to attend to neighbouring tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from kepipe.data.batch import Batch
from kepipe.models.base import Base, build
from kepipe.models.transformer import Transformer
from kepipe.nn.layer import PreNorm
from kepipe.objectives.losses import TokenLoss
from kepipe.stages.pretrain import PretrainConfig

VOCABULARY = 500
HIDDEN = TokenLoss("hidden")
OFFSETS = (-1, 1)  # of half of the four heads


def attention_of(model: Transformer, length: int) -> Tensor:
    """Attention weights of the first layer on random tokens, [H, T, S]."""
    tokens_T = torch.randint(VOCABULARY, (1, length), generator=torch.Generator().manual_seed(3))
    stack = model.encoder
    assert stack is not None
    with torch.no_grad():
        x_BTD = stack.embeddings.eval()(model.token_embeddings(tokens_T))
        sublayer = stack.layers[0].attention
        if isinstance(sublayer, PreNorm):
            x_BTD = sublayer.norm(x_BTD)
        part = sublayer.part
        q, k, _ = part.qkv(x_BTD)[0].unflatten(-1, (3, part.heads, part.width)).unbind(1)
        scores = torch.einsum("thw,shw->hts", q, k) * part.scale
        return scores.softmax(-1)


@pytest.mark.parametrize(
    "base", [{"family": "bert"}, {"family": "bert", "norm": "pre"}, {"family": "roberta"}]
)
def test_positional_heads_attend_to_neighbours(base: Any) -> None:
    model = build(Base.model_validate(base), VOCABULARY, seed=1)
    attention_HTT = attention_of(model, 128)
    for head, offset in enumerate(OFFSETS):
        assert attention_HTT[head].diagonal(offset).mean() > 0.5, (head, offset)
    for free in attention_HTT[len(OFFSETS) :]:
        assert free.amax(-1)[64:].mean() < 0.3


def test_positional_heads_change_only_queries_keys_and_positions() -> None:
    drawn = dict(build(Base(init="normal"), VOCABULARY, seed=1).named_parameters())
    model = build(Base(), VOCABULARY, seed=1)
    changed = {name for name, weight in model.named_parameters() if not weight.equal(drawn[name])}
    qkv = "encoder.layers.0.attention.part.qkv.weight"
    assert changed == {"encoder.embeddings.positions.table.weight", qkv}
    assert dict(model.named_parameters())[qkv][-256:].equal(drawn[qkv][-256:])  # values
    positions, tokens = model.encoder.embeddings.positions, model.token_embeddings  # type: ignore[union-attr]
    assert positions is not None
    assert positions.table.weight.std().item() == pytest.approx(tokens.weight.std().item(), rel=0.02)


@pytest.mark.parametrize("family", ["modernbert", "t5", "gpt2", "bart"])
def test_positional_heads_leave_other_families_unchanged(family: Any) -> None:
    drawn = build(Base(family=family, init="normal"), VOCABULARY, seed=1)
    made = build(Base(family=family), VOCABULARY, seed=1)
    for mine, theirs in zip(made.parameters(), drawn.parameters(), strict=True):
        assert mine.equal(theirs)


def test_positional_heads_depend_on_the_seed() -> None:
    first, again, other = (build(Base(), VOCABULARY, seed=seed).state_dict() for seed in (1, 1, 2))
    name = "encoder.embeddings.positions.table.weight"
    assert first[name].equal(again[name])
    assert not first[name].equal(other[name])


def learned(init: str) -> float:
    """The mean of the last losses of a small BERT in a language of 30 words where each says which one follows."""
    rng = torch.Generator().manual_seed(0)
    follows_V, words, length, rows = torch.randperm(30, generator=rng), 30, 32, 16
    sizes = {"layers": 1, "hidden": 128, "heads": 4, "positions": length}
    model = build(Base.model_validate({**sizes, "init": init}), words + 1, seed=0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(75):
        tokens = [torch.randint(words, (rows,), generator=rng)]
        while len(tokens) < length:
            tokens.append(follows_V[tokens[-1]])
        tokens_BT = torch.stack(tokens, 1)
        hidden_BT = torch.rand(rows, length, generator=rng) < 0.15
        batch = Batch(
            tokens_BT.masked_fill(hidden_BT, words),
            torch.ones_like(tokens_BT),
            label_positions=hidden_BT.flatten().nonzero()[:, 0],
            labels=tokens_BT[hidden_BT],
        )
        loss = HIDDEN(model, batch)["hidden"]
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    return float(np.mean(losses[-10:]))


def test_positional_heads_learn_bigrams_fast() -> None:
    """All words are equally frequent: a model that does not distinguish neighbours stays at log 30 = 3.40."""
    assert learned("positional-heads") < 0.3
    assert learned("normal") > 3.3


@pytest.mark.parametrize(
    ("settings", "init"),
    [
        ({}, "positional-heads"),
        ({"recipe": "published"}, "normal"),
        ({"recipe": "published", "base": {"init": "positional-heads"}}, "positional-heads"),
        ({"recipe": "published", "base": Base(family="roberta")}, "normal"),
        ({"base": {"init": "normal"}}, "normal"),
    ],
)
def test_published_recipe_uses_normal_init(settings: Any, init: str) -> None:
    base = PretrainConfig.model_validate(settings).base
    assert isinstance(base, Base)
    assert base.init == init
