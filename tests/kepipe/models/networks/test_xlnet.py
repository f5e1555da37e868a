"""The visibility between queries and tokens, the memory, and rows read right to left."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from kepipe.data.batch import Batch
from kepipe.models.networks.xlnet import XLNet, remember
from kepipe.models.networks.xlnet_masks import ORDER
from kepipe.nn.relative_attention import relative_shift
from kepipe.training.carried_states import CarriedStates
from tests.support.networks import LENGTHS, VOCABULARY, network, rows

ORDER_T = torch.tensor([3, -1, 0, 5, -1, 1, 4, 2, -1])
"""Given: 1, 4, 8; then told: 2, 5, 7, 0, 6, 3."""


def xl(family: str = "xlnet", **settings: Any) -> XLNet:
    model = network(family, **settings)
    assert isinstance(model, XLNet)
    return model


def told(tokens_BT: Tensor) -> Batch:
    return Batch(tokens_BT, torch.ones_like(tokens_BT), extra={ORDER: ORDER_T.expand(len(tokens_BT), -1)})


def test_a_query_sees_earlier_tokens_of_the_order_and_never_its_own() -> None:
    model, (tokens_1T,) = xl(), (torch.arange(9)[None],)
    everywhere = torch.arange(9)
    before_TD = model(told(tokens_1T), everywhere)
    content_TD = model(told(tokens_1T))[0]
    for changed in range(9):
        other_1T = tokens_1T.clone()
        other_1T[0, changed] = VOCABULARY - 1
        moved_T = (model(told(other_1T), everywhere) - before_TD).abs().amax(1) > 1e-7
        own_T = (model(told(other_1T))[0] - content_TD).abs().amax(1) > 1e-7
        for place in range(9):
            number, its = int(ORDER_T[changed]), int(ORDER_T[place])
            sees = place != changed and (number < 0 or number < its)
            if its >= 0:  # what is given is not asked for
                assert bool(moved_T[place]) == sees, (changed, place)
            assert bool(own_T[place]) == (sees or place == changed), (changed, place)


def test_queries_are_returned_in_the_order_of_the_places() -> None:
    model, batch = xl(), told(torch.arange(18).reshape(2, 9))
    all_ND = model(batch, torch.arange(18))
    some_N = torch.tensor([17, 2, 3, 2, 11])
    torch.testing.assert_close(model(batch, some_N), all_ND[some_N])


def test_a_query_without_visible_tokens_is_finite() -> None:
    """The first token of a text in left-to-right order."""
    model, tokens_1T = xl(), torch.arange(4)[None]
    batch = Batch(tokens_1T, torch.ones_like(tokens_1T), extra={ORDER: torch.arange(4)[None]})
    loss = model.token_loss(model(batch, torch.tensor([0, 1])), torch.tensor([1, 2]))
    loss.backward()  # type: ignore[no-untyped-call]
    assert model.query is not None
    assert model.query.grad is not None
    assert bool(torch.isfinite(model.query.grad).all())


@pytest.mark.parametrize("family", ["xlnet", "transformer-xl"])
def test_the_memory_of_padded_rows_equals_the_whole_text(family: str) -> None:
    """Left to right: row by row with padding and a long memory equals the whole text at once."""
    model, text_1T = xl(family, memory=40), torch.randint(0, VOCABULARY, (1, 17))
    carried, at, found = CarriedStates(), 0, []
    for number, length in enumerate((5, 2, 6, 4)):
        tokens_1T = torch.zeros(1, 6, dtype=torch.long)
        tokens_1T[0, :length] = text_1T[0, at : at + length]
        there_1T = (torch.arange(6) < length).long()[None]
        extra = {ORDER: torch.arange(6)[None]} if family == "xlnet" else {}
        batch = Batch(tokens_1T, there_1T, extra=extra, continues=torch.tensor([number > 0]))
        found.append(model(carried.attach(batch))[0, :length])
        at += length
    extra = {ORDER: torch.arange(17)[None]} if family == "xlnet" else {}
    whole_TD = model(Batch(text_1T, torch.ones_like(text_1T), extra=extra))[0]
    torch.testing.assert_close(torch.cat(found), whole_TD, rtol=1e-5, atol=1e-5)


def test_the_first_row_of_a_text_sees_no_memory() -> None:
    model = xl("transformer-xl", memory=6)
    carried = CarriedStates()
    first = replace(rows(), continues=torch.tensor([False, False, False]))
    model(carried.attach(first))
    second = replace(rows(1), continues=torch.tensor([True, False, True]))
    after_BTD, alone_BTD = model(carried.attach(second)), model(rows(1))
    same_B = torch.isclose(after_BTD, alone_BTD, atol=1e-6).all(2)[:, 0]
    assert same_B.tolist() == [False, True, False]


def test_a_reversed_text_has_the_same_states() -> None:
    """Reversed tokens with negated distances have the same states as left to right."""
    model, tokens_2T = xl(), torch.randint(0, VOCABULARY, (2, 9))
    there_2T = torch.ones_like(tokens_2T)
    left_2TD = model(Batch(tokens_2T, there_2T))
    turned = Batch(tokens_2T.flip(1), there_2T, from_right=torch.tensor([True, True]))
    torch.testing.assert_close(model(turned).flip(1), left_2TD, rtol=1e-5, atol=1e-5)
    unaware = Batch(tokens_2T.flip(1), there_2T)
    assert not torch.allclose(model(unaware).flip(1), left_2TD, atol=1e-2)


def test_the_memory_holds_the_last_tokens_aligned_to_the_right() -> None:
    inputs_BLTD = torch.arange(10.0).reshape(2, 1, 5, 1)
    empty = torch.zeros(2, 1, 0, 1), torch.zeros(2, 0, dtype=torch.bool)
    kept_BT = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]).bool()
    memory_BLMD, present_BM = remember(empty, inputs_BLTD, kept_BT, 3)
    assert memory_BLMD[0].flatten().tolist() == [2, 3, 4]
    assert memory_BLMD[1].flatten().tolist() == [0, 5, 6]
    assert present_BM.tolist() == [[True, True, True], [False, True, True]]
    memory_BLMD, present_BM = remember((memory_BLMD, present_BM), inputs_BLTD + 20, kept_BT, 4)
    assert memory_BLMD[1].flatten().tolist() == [5, 6, 25, 26]
    assert present_BM.all()


def test_relative_shift_gives_each_key_its_distance() -> None:
    queries, keys = 4, 7
    x_11QP = torch.arange(queries * (keys + queries)).float().reshape(1, 1, queries, -1)
    shifted = relative_shift(x_11QP, keys)[0, 0]
    for i in range(queries):
        assert shifted[i].tolist() == x_11QP[0, 0, i, queries - i : queries - i + keys].tolist()


def test_same_length_limits_the_distance_of_attention() -> None:
    """With a memory of 4 and one layer, tokens farther back have no effect."""
    model, tokens_1T = xl("transformer-xl", layers=1, memory=4, same_length=True), torch.arange(10)[None]
    for changed in (0, 3):
        other_1T = tokens_1T.clone()
        other_1T[0, changed] = VOCABULARY - 1
        states = []
        for text_1T in (tokens_1T, other_1T):
            carried = CarriedStates()
            for number, piece_1T in enumerate((text_1T[:, :4], text_1T[:, 4:8])):
                batch = Batch(piece_1T, torch.ones_like(piece_1T), continues=torch.tensor([number > 0]))
                after_TD = model(carried.attach(batch))[0]
            states.append(after_TD)
        moved_T = (states[0] - states[1]).abs().amax(1) > 1e-7
        assert moved_T.tolist() == [4 + place - changed <= 4 for place in range(4)]


def test_segments_matter_if_there_are_two() -> None:
    model, batch = xl(), rows()
    one = replace(batch, segments=torch.zeros_like(batch.tokens))
    torch.testing.assert_close(model(one)[0], model(batch)[0], rtol=1e-5, atol=1e-5)
    two = replace(batch, segments=(torch.arange(max(LENGTHS)) > 3).long().expand(3, -1))
    assert not torch.allclose(model(two)[0], model(batch)[0], atol=1e-4)
