"""Attention visibility, by hand and by the definitions."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from kepipe.nn.visibility import (
    NAMES,
    Packed,
    Visibility,
    backward,
    by_name,
    causal,
    documents,
    full,
    layout_of,
    nearby,
    prefix,
    tree,
)


def shown(visibility: Visibility, rows: int, length: int) -> list[list[str]]:
    """Rows of strings: a 1 where the query (line) sees the key (column)."""
    dense = visibility.dense(rows, length, length)
    assert dense is not None
    return [
        ["".join(str(int(cell)) for cell in line) for line in row]
        for row in dense.expand(rows, length, length)
    ]


def test_full_causal_and_backward_visibility() -> None:
    assert full().dense(1, 3, 3) is None
    assert shown(causal(), 1, 3) == [["100", "110", "111"]]
    assert shown(backward(), 1, 3) == [["111", "011", "001"]]


def test_prefix_visibility() -> None:
    assert shown(prefix(torch.tensor([[1, 1, 0, 0]])), 1, 4) == [["1100", "1100", "1110", "1111"]]


def test_padding_and_other_documents_are_masked() -> None:
    assert shown(documents(torch.tensor([[1, 1, 0], [1, 1, 1]])), 2, 3) == [["110"] * 3, ["111"] * 3]
    packed = documents(torch.tensor([[1, 2, 2, 0]]))
    assert shown(packed, 1, 4) == [["1000", "0110", "0110", "0000"]]
    assert shown(packed & causal(), 1, 4) == [["1000", "0100", "0110", "0000"]]


def test_cross_attention_visibility_by_documents() -> None:
    cross = documents(torch.tensor([[1, 2, 2]]), torch.tensor([[1, 1, 2, 0]]))
    dense = cross.dense(1, 3, 4)
    assert dense is not None
    assert dense.int().tolist() == [[[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0]]]


def test_tree_visibility_of_the_papers_example() -> None:
    # [CLS] Tim Cook CEO Apple visits Beijing capital China: two branches that do not see each other
    branch = torch.tensor([[0, 0, 0, 1, 1, 0, 0, 2, 2]])
    mention = torch.tensor([[0, 1, 1, 1, 1, 0, 2, 2, 2]])
    assert shown(tree(branch, mention), 1, 9) == [
        [
            "111001100",
            "111111100",
            "111111100",
            "011110000",
            "011110000",
            "111001100",
            "111001111",
            "000000111",
            "000000111",
        ]
    ]


def test_branches_of_one_mention_do_not_see_each_other() -> None:
    visible = shown(tree(torch.tensor([[0, 1, 2]]), torch.tensor([[1, 1, 1]])), 1, 3)
    assert visible == [["111", "110", "101"]]


def test_branch_without_a_mention_sees_only_itself() -> None:
    """Its mention was cut off, say: tokens of no mention are not tied to it."""
    assert shown(tree(torch.tensor([[0, 0, 1, 1]]), torch.tensor([[0, 1, 0, 0]])), 1, 4) == [
        ["1100", "1100", "0011", "0011"]
    ]


def test_cached_step_equals_the_last_row_of_the_mask() -> None:
    documents_BT = torch.tensor([[1, 1, 0, 1], [1, 1, 1, 1]])
    whole = (causal() & documents(documents_BT)).dense(2, 4, 4)
    step = (causal() & documents(documents_BT)).dense(2, 1, 4, past=3)
    assert whole is not None
    assert step is not None
    assert torch.equal(step, whole[:, 3:])
    assert causal().dense(2, 1, 4, past=3) is None


@st.composite
def packed(draw: st.DrawFn) -> Tensor:
    lengths = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    padding = draw(st.integers(0, 3))
    row = [number for number, length in enumerate(lengths, 1) for _ in range(length)] + [0] * padding
    return torch.tensor([row])


@given(packed(), st.sampled_from(NAMES))
def test_visibility_stays_within_documents_and_includes_itself(documents_BT: Tensor, name: str) -> None:
    length = documents_BT.shape[1]
    dense = by_name(name, documents_BT, prefix_BT=torch.zeros_like(documents_BT)).dense(1, length, length)
    allowed = (
        torch.ones(1, length, length, dtype=torch.bool) if dense is None else dense.expand(1, length, length)
    )
    real = documents_BT[0] > 0
    same = documents_BT[0][:, None] == documents_BT[0][None]
    assert not allowed[0][real][:, ~real].any()
    assert not (allowed[0] & ~same)[real].any()
    assert allowed[0].diagonal()[real].all()


@pytest.mark.parametrize("name", NAMES)
def test_block_masks_equal_dense_masks(name: str) -> None:
    documents_BT = torch.tensor([[1] * 70 + [2] * 50 + [0] * 8, [1] * 128])
    prefix_BT = torch.arange(128).expand(2, -1).remainder(60).lt(20).long()
    visibility = by_name(name, documents_BT, prefix_BT=prefix_BT)
    blocks = visibility.blocks(2, 128, 128, "cpu")
    dense = visibility.dense(2, 128, 128)
    assert dense is not None
    rows, q, k = torch.meshgrid(torch.arange(2), torch.arange(128), torch.arange(128), indexing="ij")
    assert torch.equal(blocks.mask_mod(rows, torch.zeros_like(rows), q, k), dense.expand(2, 128, 128))


def test_unknown_visibility_and_missing_descriptor_are_named() -> None:
    with pytest.raises(ValueError, match="unknown visibility 'ful'; known: full"):
        by_name("ful")
    with pytest.raises(ValueError, match="needs the descriptor `prefix`"):
        by_name("prefix")


def test_nearby_positions_are_visible_on_both_sides() -> None:
    assert shown(nearby(1), 1, 4) == [["1100", "1110", "0111", "0011"]]


@pytest.mark.parametrize(
    ("query", "key", "layout"),
    [
        ([[1, 1], [1, 1]], None, "whole"),
        ([[1, 1], [1, 0]], None, "padded"),
        ([[1, 1]], [[1, 0, 0]], "padded"),
        ([[1, 0]], [[1, 1, 1]], "whole"),
        ([[1, 2]], None, "packed"),
        ([[2, 2], [1, 1]], None, "whole"),
        ([[2, 2], [0, 0]], None, "packed"),
        ([[2, 2]], [[1, 1]], "packed"),
        ([[1, 1]], [[2, 2]], "packed"),
        ([[2, 2]], [[2, 2, 2]], "packed"),
    ],
)
def test_layout_of_documents(query: list[list[int]], key: list[list[int]] | None, layout: str) -> None:
    """A row of one document under any number is whole; a kernel for rows of another length is not asked."""
    assert layout_of(torch.tensor(query), None if key is None else torch.tensor(key)) == layout


def test_runs_of_documents_are_padded_to_a_power_of_two() -> None:
    def runs(rows: list[list[int]]) -> list[int] | None:
        found = Packed(torch.tensor(rows), torch.tensor(rows)).runs()
        return None if found is None else found.tolist()

    assert runs([[1, 2], [1, 2]]) == [0, 1, 2, 3, 4]
    assert runs([[1, 2, 0], [1, 1, 1]]) == [0, 1, 2, 3, 6]
    assert runs([[1, 2, 0], [1, 1, 2]]) == [0, 1, 2, 3, 5, 6, 6, 6, 6]
    assert runs([[3, 3, 3]]) == [0, 3]
    assert runs([[0, 3], [0, 1]]) == [0, 1, 2, 3, 4]
    assert runs([[1, 2, 1]]) is None


def test_documents_are_known_for_self_attention_alone() -> None:
    rows = torch.tensor([[1, 2]])
    assert documents(rows, host_BT=rows).packed is not None
    assert documents(rows).packed is None
    assert documents(rows, rows, host_BT=rows).packed is None


def test_tree_needs_branches_and_mentions() -> None:
    branch = torch.tensor([[0, 1]])
    assert by_name("full", branch_BT=branch).everything
    assert by_name("full", mention_BT=branch).everything
    assert shown(by_name("full", branch_BT=branch, mention_BT=branch * 0), 1, 2) == [["10", "01"]]


def test_step_behind_a_cache_of_other_length_has_a_mask() -> None:
    dense = causal().dense(1, 1, 4, past=1)
    assert dense is not None
    assert dense.int().tolist() == [[[1, 1, 0, 0]]]


def test_mask_among_positions_is_that_of_the_positions() -> None:
    among = causal().among(torch.tensor([[2, 0], [1, 3]]))
    assert among is not None
    assert among.int().tolist() == [[[1, 1], [0, 1]], [[1, 0], [1, 1]]]
    assert full().among(torch.tensor([[2, 0]])) is None


def test_documents_stay_known_unless_other_rules_hide_more() -> None:
    rows = torch.tensor([[1, 2]])
    packed = documents(rows, host_BT=rows)
    for alone in (packed & causal(), causal() & packed, packed & full(), full() & packed):
        assert alone.packed is packed.packed
    for more in (packed & nearby(1), nearby(1) & packed, packed & packed, causal() & nearby(1)):
        assert more.packed is None
