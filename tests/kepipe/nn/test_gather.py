"""Positions of rows gathered into slots, and reversed rows, by hand."""

from __future__ import annotations

import torch

from kepipe.nn.gather import flat, pick, reversed_positions, slots

THERE = torch.tensor([[True, True, True, False], [True, True, False, False]])


def test_reversed_row_keeps_its_padding_at_the_end() -> None:
    assert reversed_positions(THERE).tolist() == [[2, 1, 0, 3], [1, 0, 2, 3]]
    of_one = reversed_positions(THERE, torch.tensor([False, True]))
    assert of_one.tolist() == [[0, 1, 2, 3], [1, 0, 2, 3]]


def test_rows_have_as_many_slots_as_the_fullest() -> None:
    places, slot, counts = slots(torch.tensor([2, 0, 2, 2]), torch.tensor([5, 1, 4, 0]), 3)
    assert places.tolist() == [[1, 0, 0], [0, 0, 0], [5, 4, 0]]
    assert slot.tolist() == [6, 0, 7, 8]
    assert counts.tolist() == [1, 0, 3]
    nothing, slot, counts = slots(torch.tensor([], dtype=torch.long), torch.tensor([], dtype=torch.long), 2)
    assert (nothing.tolist(), slot.tolist(), counts.tolist()) == ([[0], [0]], [], [0, 0])


def test_positions_in_rows_become_flat_positions() -> None:
    x = torch.arange(12.0).reshape(2, 3, 2)
    places = flat(torch.tensor([[0, 2], [1, 1]]), 3)
    assert places.tolist() == [0, 2, 4, 4]
    assert pick(x, places).tolist() == [[0, 1], [4, 5], [8, 9], [8, 9]]


def test_number_of_slots_is_a_multiple() -> None:
    rows, there = torch.tensor([0, 0, 0, 1]), torch.tensor([1, 2, 3, 0])
    for multiple, expected in ((0, 3), (1, 3), (2, 4), (3, 3), (5, 5)):
        places, slot, counts = slots(rows, there, 2, multiple)
        assert places.shape == (2, expected)
        assert slot.tolist() == [0, 1, 2, expected]
        assert counts.tolist() == [3, 1]
