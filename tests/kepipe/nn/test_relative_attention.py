"""Relative attention equals its equation, computed query by query and key by key."""

from __future__ import annotations

import math

import pytest
import torch

from kepipe.nn.relative_attention import RelativeAttention, RelativeMask, position_encodings, relative_shift

ROWS, QUERIES, KEYS, HIDDEN, HEADS, WIDTH = 2, 3, 5, 4, 2, 3


def test_position_encodings_are_sines_then_cosines() -> None:
    expected = [
        [math.sin(distance), math.sin(distance / 100), math.cos(distance), math.cos(distance / 100)]
        for distance in (3, 0, -2)
    ]
    found = position_encodings(torch.tensor([3, 0, -2]), 4)
    torch.testing.assert_close(found, torch.tensor(expected))


def test_relative_shift_converts_distances_to_keys() -> None:
    by_distance = torch.arange(15).reshape(1, 1, 3, 5)
    shifted = relative_shift(by_distance, 2)
    assert shifted.tolist() == [[[[3, 4], [5 + 2, 5 + 3], [10 + 1, 10 + 2]]]]


def _layer() -> RelativeAttention:
    layer = RelativeAttention(HIDDEN, HEADS, WIDTH)
    random = torch.Generator().manual_seed(0)
    for parameter in layer.parameters():
        parameter.data = torch.randn(parameter.shape, generator=random)
    return layer


def _expected(
    layer: RelativeAttention, x_BQD: torch.Tensor, memory_BKD: torch.Tensor, mask: RelativeMask
) -> torch.Tensor:
    """Dai et al. 2019, §3.3, and Yang et al. 2019, §2.5; key j of query i is at distance number j + Q − i."""
    out = torch.zeros(ROWS, QUERIES, HIDDEN)
    for b in range(ROWS):
        side = 0 if mask.from_right is None else int(mask.from_right[b])
        for i in range(QUERIES):
            heads = []
            for h in range(HEADS):
                part = slice(h * WIDTH, (h + 1) * WIDTH)
                query = (layer.query.weight @ x_BQD[b, i])[part]
                scores, values = [], []
                for j in range(KEYS):
                    if not mask.visible[b, i, j]:
                        continue
                    number = j + QUERIES - i if mask.columns is None else int(mask.columns[b, i, j])
                    key = (layer.key.weight @ memory_BKD[b, j])[part]
                    distance = (layer.position.weight @ mask.positions[side, number])[part]
                    score = (query + layer.content_query[part]) @ key
                    score = score + (query + layer.position_query[part]) @ distance
                    if mask.segments is not None:
                        kind = layer.segments[int(mask.segments[b, i, j]), h]
                        score = score + (query + layer.segment_query[part]) @ kind
                    scores.append(score / math.sqrt(WIDTH))
                    values.append((layer.value.weight @ memory_BKD[b, j])[part])
                shares = torch.stack(scores).softmax(0) if scores else torch.zeros(0)
                heads.append(sum((s * v for s, v in zip(shares, values, strict=True)), torch.zeros(WIDTH)))
            out[b, i] = layer.output.weight @ torch.cat(heads)
    return out


@pytest.mark.parametrize("both_sides", [False, True])
@pytest.mark.parametrize("segments", [False, True])
@pytest.mark.parametrize("columns", [False, True])
def test_relative_attention_equals_its_equation(both_sides: bool, segments: bool, columns: bool) -> None:
    random = torch.Generator().manual_seed(1)
    layer = _layer()
    x_BQD = torch.randn(ROWS, QUERIES, HIDDEN, generator=random)
    memory_BKD = torch.randn(ROWS, KEYS, HIDDEN, generator=random)
    visible = torch.rand(ROWS, QUERIES, KEYS, generator=random) < 0.7
    visible[0, 1] = False  # a query that sees nothing
    mask = RelativeMask(
        visible,
        torch.randn(1 + both_sides, QUERIES + KEYS, HIDDEN, generator=random),
        torch.tensor([1, 0]) if both_sides else None,
        torch.rand(ROWS, QUERIES, KEYS, generator=random) < 0.5 if segments else None,
        torch.randint(0, QUERIES + KEYS, (ROWS, QUERIES, KEYS), generator=random) if columns else None,
    )
    with torch.no_grad():
        found = layer(x_BQD, *layer.keys_and_values(memory_BKD), mask)
        torch.testing.assert_close(found, _expected(layer, x_BQD, memory_BKD, mask))
    assert not found[0, 1].any()
    assert found[0, 0].any()
