"""Models of every family on a tree: hidden states depend on descriptors, not on the place in the row."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from kepipe.data.batch import Batch
from kepipe.knowledge.kbert.tree import Branches, InjectedRows, MentionSpans, TreeShape, build_rows
from kepipe.models.base import Base, build

SENTENCE = np.array([[2, 10, 11, 12, 13, 14, 3]])
ANCHORS = MentionSpans(np.array([0, 0]), np.array([1, 4]), np.array([3, 5]))  # 10 11, and 13
BRANCHES = Branches(np.array([0, 0, 1]), np.array([2, 1, 3]), np.array([20, 21, 22, 23, 24, 25]))
ENCODERS = ["bert", "roberta", "bart", "t5"]


def batch_of(injected: InjectedRows) -> Batch:
    tokens, positions, branch, mention = (
        torch.from_numpy(values)
        for values in (injected.tokens, injected.positions, injected.branch, injected.mention)
    )
    return Batch(tokens, torch.ones_like(tokens), positions=positions, branch=branch, mention=mention)


def hidden(family: str, batch: Batch) -> torch.Tensor:
    """Hidden states of a new model's encoder, or GPT: [T, D]."""
    model = build(Base.model_validate({"family": family, "layers": 2, "hidden": 32, "heads": 2}), 64, seed=0)
    with torch.no_grad():
        return model.eval().encode(batch)[0]


@pytest.mark.parametrize("family", ENCODERS)
def test_encoder_output_does_not_depend_on_branch_order(family: str) -> None:
    """Branches moved to the row's end, with their descriptors, are read as before."""
    injected = build_rows(SENTENCE, np.array([7]), ANCHORS, BRANCHES)
    order = np.argsort(injected.branch[0] > 0, kind="stable")
    moved = replace(
        injected,
        **{name: getattr(injected, name)[:, order] for name in ("tokens", "positions", "branch", "mention")},
    )
    assert order.tolist() != sorted(order.tolist())
    torch.testing.assert_close(
        hidden(family, batch_of(moved)), hidden(family, batch_of(injected))[order], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("family", ENCODERS)
def test_invisible_branch_does_not_change_the_sentence(family: str) -> None:
    """Soft positions of the sentence are the same with and without branches in between."""
    injected = build_rows(SENTENCE, np.array([7]), ANCHORS, BRANCHES)
    hung = batch_of(injected)
    assert hung.branch is not None
    assert hung.mention is not None
    unseen = replace(hung, mention=torch.where(hung.branch > 0, hung.mention + 10, hung.mention))
    tokens = torch.from_numpy(SENTENCE)
    alone = hidden(family, Batch(tokens, torch.ones_like(tokens)))
    kept = torch.from_numpy(injected.places[0])
    torch.testing.assert_close(hidden(family, unseen)[kept], alone, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(hidden(family, hung)[kept], alone, rtol=1e-4, atol=1e-5)


def test_gpt_branch_changes_states_from_the_mentions_last_token_on() -> None:
    injected = build_rows(SENTENCE, np.array([7]), ANCHORS, BRANCHES, TreeShape(causal=True))
    batch = replace(batch_of(injected), visibility="causal")
    tokens = torch.from_numpy(SENTENCE)
    alone = hidden("gpt2", Batch(tokens, torch.ones_like(tokens), visibility="causal"))
    dressed = hidden("gpt2", batch)[torch.from_numpy(injected.places[0])]
    same = torch.isclose(dressed, alone, rtol=1e-4, atol=1e-5).all(1)
    assert same.tolist() == [
        True,
        True,
        False,
        False,
        False,
        False,
        False,
    ]  # 11 is the first mention's last token
