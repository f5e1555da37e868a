"""The last layer computed only at query positions gives the same outputs and gradients as the whole layer."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kepipe.data.batch import Batch
from kepipe.models.base import Base, build
from kepipe.models.batch_visibility import encoder_visibility
from kepipe.models.transformer import Transformer
from kepipe.nn.layer import Layer
from kepipe.nn.query_positions import plan_query_positions

B, T, V = 3, 12, 40


def batch(**changes: Any) -> Batch:
    """Two packed rows of two documents each, and one with padding."""
    documents = torch.tensor([[1] * 7 + [2] * 5, [1] * 4 + [2] * 8, [1] * 6 + [0] * 6])
    tokens = torch.randint(V, (B, T), generator=torch.Generator().manual_seed(0))
    return Batch(tokens, documents, **changes)


TREE = {
    "branch": torch.tensor([0, 0, 1, 1, 0, 2, 2, 0, 0, 0, 0, 0]).expand(B, T),
    "mention": torch.tensor([0, 1, 1, 1, 2, 2, 2, 0, 0, 0, 0, 0]).expand(B, T),
    "positions": torch.tensor([0, 1, 2, 3, 2, 3, 4, 3, 4, 5, 6, 7]).expand(B, T),
}
PREFIX = {"visibility": "prefix", "prefix": (torch.arange(T) < 5).long().expand(B, T)}
CASES = {
    "packed": batch(),
    "one document": Batch(batch().tokens, torch.ones(B, T, dtype=torch.long)),
    "padding": Batch(batch().tokens, (torch.arange(T) < torch.tensor([[12], [9], [4]])).long()),
    "left to right": batch(visibility="causal"),
    "right to left": batch(visibility="backward"),
    "prefix": batch(**PREFIX),
    "tree": batch(**TREE),
}
READS = torch.tensor([14, 3, 0, 24, 35, 3, 12, 20, 29, 0])
"""Out of order, some twice, two of them padding."""


def gradients(model: Transformer, hidden_ND: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    weight = torch.randn(hidden_ND.shape, generator=torch.Generator().manual_seed(1), dtype=hidden_ND.dtype)
    torch.autograd.backward((hidden_ND * weight).sum())
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def agree(model: Transformer, whole_ND: Tensor, part_ND: Tensor) -> None:
    """Equal values and gradients."""
    torch.testing.assert_close(part_ND, whole_ND)
    expected, found = gradients(model, whole_ND), gradients(model, part_ND)
    assert expected.keys() == found.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient)


def fed(model: Transformer) -> list[int]:
    """Number of positions in the last layer's MLP, per call."""
    seen: list[int] = []
    assert model.encoder is not None
    last = model.encoder.layers[-1]
    assert isinstance(last, Layer)
    last.mlp.register_forward_hook(lambda _part, _given, made: seen.append(made.shape[0] * made.shape[1]))
    return seen


@pytest.mark.parametrize(("family", "recompute"), [("bert", False), ("bert", True), ("modernbert", False)])
@pytest.mark.parametrize("case", CASES)
def test_encoder_at_query_positions_equals_the_whole(case: str, family: str, recompute: bool) -> None:
    model = build(Base(family=family, layers=2, hidden=16, heads=2), V, 0).double().train()
    model.set_gradient_checkpointing(recompute)
    worked = fed(model)
    whole_ND = model(CASES[case]).flatten(0, 1)[READS]
    part_ND = model(CASES[case], READS)
    assert worked == [B * T, B * 4]
    agree(model, whole_ND, part_ND)


def test_pre_norm_encoder_with_relative_positions_at_query_positions() -> None:
    model = build(Base(family="t5", layers=2, hidden=16, heads=2), V, 0).double()
    rows = CASES["padding"]
    sees = encoder_visibility(rows)
    worked = fed(model)
    whole_ND = model.encode_tokens(rows.tokens, sees).flatten(0, 1)[READS]
    part_ND = model.encode_tokens(rows.tokens, sees, places_N=READS)
    assert worked == [B * T, B * 4]
    agree(model, whole_ND, part_ND)


@pytest.mark.parametrize("family", ["gpt2", "bart"])
def test_decoder_computes_all_positions(family: str) -> None:
    model = build(
        Base.model_validate({"family": family, "layers": 1, "hidden": 16, "heads": 2}), V, 0
    ).double()
    rows = batch(decoder_tokens=batch().tokens, decoder_documents=batch().documents)
    agree(model, model(rows).flatten(0, 1)[READS], model(rows, READS))


def test_query_positions_of_most_or_no_tokens() -> None:
    model = build(Base(layers=1, hidden=16, heads=2), V, 0)
    worked = fed(model)
    most = torch.arange(B * T - 1)
    torch.testing.assert_close(model(batch(), most), model(batch()).flatten(0, 1)[most])
    assert model(batch(), most[:0]).shape == (0, 16)
    assert worked == [B * T, B * T, B]


@given(st.data(), st.integers(1, 5), st.integers(1, 9))
@settings(deadline=None)
def test_query_positions_round_trip(data: st.DataObject, rows: int, length: int) -> None:
    flat = torch.tensor(data.draw(st.lists(st.integers(0, rows * length - 1), max_size=12)), dtype=torch.long)
    x = torch.arange(rows * length, dtype=torch.float).view(rows, length, 1)
    found = plan_query_positions(flat, rows, length)
    if found is not None:
        assert found.pick(found.narrow(x)).flatten().tolist() == flat.tolist()
        assert found.places.shape[1] <= max(1, length / 2)


def test_up_to_half_of_the_positions_are_worth_gathering() -> None:
    half = plan_query_positions(torch.tensor([3, 1, 4]), 2, 4)
    assert half is not None
    assert half.places.tolist() == [[3, 1], [0, 0]]
    assert half.slots.tolist() == [0, 1, 2]
    assert plan_query_positions(torch.tensor([3, 1, 4, 0]), 2, 4) is None


def test_few_shapes_of_query_positions() -> None:
    """Slots in steps of an eighth of the length."""
    for length, expected in ((32, 4), (33, 4), (15, 1), (8, 1), (4, 1)):
        found = plan_query_positions(torch.tensor([0]), 1, length, few_shapes=True)
        assert found is not None
        assert found.places.shape == (1, expected)
