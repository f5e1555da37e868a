"""T5's buckets by hand, learned positions at their edges."""

from __future__ import annotations

import pytest
import torch

from kepipe.nn.positions import LearnedPositions, RelativeBias, bucket


def test_t5_decoder_buckets() -> None:
    distance = -torch.tensor([0, 1, 15, 16, 20, 64, 127, 128, 1000])
    # 16 + ⌊ln(20/16)/ln(128/16)·16⌋ = 17, 16 + ⌊ln 4/ln 8·16⌋ = 26, 16 + ⌊15.9⌋ = 31
    assert bucket(distance, 32, 128, both_ways=False).tolist() == [0, 1, 15, 16, 17, 26, 31, 31, 31]
    assert bucket(torch.tensor([1, 50]), 32, 128, both_ways=False).tolist() == [0, 0]


def test_t5_encoder_buckets_separate_directions() -> None:
    assert bucket(torch.tensor([0, -3, 3, -7, 7, -500, 500]), 32, 128, both_ways=True).tolist() == [
        0,
        3,
        19,
        7,
        23,
        15,
        31,
    ]


def test_relative_bias_depends_on_distances() -> None:
    part = RelativeBias(4, 32, 128, both_ways=True)
    at = torch.arange(6)
    by_place = part(at, at)
    assert by_place.shape == (4, 6, 6)
    shifted = part((at + 9)[None], (at + 9)[None])
    assert torch.equal(shifted[0], by_place)


def test_learned_positions_with_offset_past_and_limit() -> None:
    part = LearnedPositions(5, 3, offset=2)
    assert torch.equal(part(3), part.table.weight[2:5])
    assert torch.equal(part(1, past=4), part.table.weight[6:])
    assert torch.equal(part(2, torch.tensor([[4, 0]])), part.table.weight[[6, 2]][None])
    with pytest.raises(ValueError, match="6 tokens in a row, and the model has 5 positions"):
        part(6)
    plain = LearnedPositions(5, 3)
    assert torch.equal(plain(5), plain.table.weight)
