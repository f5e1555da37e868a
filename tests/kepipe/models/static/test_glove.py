"""GloVe by hand: pairs, loss and gradients on a text of four words; and the trained vectors."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch

from kepipe.arrays import Ints
from kepipe.models.static import cooccurrences
from kepipe.models.static.cooccurrences import Pairs
from kepipe.models.static.glove import Glove, train, weight

TEXTS = [[0, 1, 2, 0, 0], [3, 1], [2]]
"""Documents of the words 0 to 3."""


def stretch(texts: list[list[int]]) -> tuple[Ints, Ints]:
    words = np.array([word for text in texts for word in text])
    return words, np.repeat(np.arange(len(texts)), [len(text) for text in texts])


def counted(
    folder: Path, texts: list[list[int]], window: int, words: int = 4
) -> dict[tuple[int, int], float]:
    found = cooccurrences.count([stretch(texts)], words, window, 10, folder)
    entries: dict[tuple[int, int], float] = {}
    for number in range(found.files):
        part = found.part(number)
        for first, second, value in zip(
            part.first.tolist(), part.second.tolist(), part.counts.tolist(), strict=True
        ):
            assert (first, second) not in entries
            entries[first, second] = value
    assert found.pairs() == len(entries)
    return entries


def by_definition(texts: list[list[int]], window: int) -> dict[tuple[int, int], float]:
    """X_ij: over all occurrences of i, the sum of 1 / distance of words j at most `window` to the left or right."""
    counts: dict[tuple[int, int], float] = defaultdict(float)
    for text in texts:
        for place, word in enumerate(text):
            for other in range(max(0, place - window), min(len(text), place + window + 1)):
                if other != place:
                    counts[word, text[other]] += 1 / abs(place - other)
    return counts


def test_pairs_are_counted_as_by_hand(tmp_path: Path) -> None:
    expected = {
        (0, 1): 1 + 1 / 2, (0, 2): 1 / 2 + 1 + 1 / 2, (0, 0): 2 * 1, (1, 2): 1, (1, 3): 1,
    }  # fmt: skip
    assert counted(tmp_path, TEXTS, 2) == pytest.approx(
        expected | {(second, first): value for (first, second), value in expected.items()}
    )


def test_pairs_of_a_longer_text_agree_with_the_definition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    texts = [rng.integers(0, 30, rng.integers(0, 40)).tolist() for _ in range(40)]
    expected = pytest.approx(by_definition(texts, 7), rel=1e-6)
    assert counted(tmp_path / "one", texts, 7, 30) == expected
    monkeypatch.setattr(cooccurrences, "FILE_BYTES", 100)
    assert counted(tmp_path / "many", texts, 7, 30) == expected
    pieces = [stretch(texts[:13]), stretch(texts[13:14]), stretch(texts[14:])]
    found = cooccurrences.count(pieces, 30, 7, 1000, tmp_path / "pieces")
    assert found.files > 10
    sums = sum(float(found.part(number).counts.sum()) for number in range(found.files))
    assert sums == pytest.approx(sum(by_definition(texts, 7).values()), rel=1e-6)


def test_glove_weight_rises_to_one() -> None:
    found = weight(torch.tensor([1.0, 16.0, 100.0, 500.0]), 100.0, 0.75)
    assert found.tolist() == pytest.approx([100**-0.75, 0.16**0.75, 1.0, 1.0])


def small(hidden: int = 3) -> tuple[Glove, Pairs]:
    """Four words, as float64, and the pairs of the text."""
    counts = by_definition(TEXTS, 2)
    first, second = (np.array([pair[side] for pair in counts], np.int32) for side in (0, 1))
    model = Glove.initialise(4, hidden, 2.0, 0.75, seed=1)
    for side in (model.words, model.contexts):
        side.table = side.table.double() * 3
        side.squares = side.squares.double()
    return model, Pairs(first, second, np.array([*counts.values()], np.float32))


def columns(pairs: Pairs) -> list[torch.Tensor]:
    return [
        torch.from_numpy(column) for column in (pairs.first, pairs.second, pairs.counts.astype(np.float64))
    ]


def test_the_loss_agrees_with_the_equation() -> None:
    model, pairs = small()
    loss_N, *_ = model.gradients(*columns(pairs))
    w, c = model.words.table.tolist(), model.contexts.table.tolist()
    for place, (i, j, x) in enumerate(zip(pairs.first, pairs.second, pairs.counts.tolist(), strict=True)):
        product = sum(w[i][d] * c[j][d] for d in range(3))
        error = product + w[i][3] + c[j][3] - math.log(x)
        assert float(loss_N[place]) == pytest.approx(min(1.0, (x / 2.0) ** 0.75) * error**2, rel=1e-6)


def test_gradients_agree_with_finite_differences() -> None:
    model, pairs = small()
    _, by_w_NE, by_c_NE = model.gradients(*columns(pairs))
    for side, gradients, rows in (
        (model.words, by_w_NE, pairs.first),
        (model.contexts, by_c_NE, pairs.second),
    ):
        total = torch.zeros_like(side.table).index_add_(0, torch.from_numpy(rows).long(), gradients)
        for place in np.ndindex(*side.table.shape):
            before, losses = float(side.table[place]), []
            for moved in (before + 1e-6, before - 1e-6):
                side.table[place] = moved
                losses.append(float(model.gradients(*columns(pairs))[0].sum()) / 2)
            side.table[place] = before
            assert float(total[place]) == pytest.approx((losses[0] - losses[1]) / 2e-6, rel=1e-5, abs=1e-8)


def test_adagrad_moves_a_row_by_the_sum_of_its_gradients() -> None:
    model, _ = small(hidden=1)
    before = model.words.table.clone()
    gradients = torch.tensor([[1.0, 2.0], [3.0, -1.0], [0.5, 0.0]], dtype=torch.float64)
    model.words.step(torch.tensor([2, 2, 0]), gradients, 0.1)
    change = model.words.table - before
    assert change[2].tolist() == pytest.approx([-0.1 * 4 / 11**0.5, -0.1 * 1 / 6**0.5])
    assert change[0].tolist() == pytest.approx([-0.1 * 0.5 / 1.25**0.5, 0.0])
    assert not change[[1, 3]].any()
    assert model.words.squares[2].tolist() == pytest.approx([11.0, 6.0])


def test_dot_products_converge_to_log_counts(tmp_path: Path) -> None:
    """With a dimension equal to the number of words, X can be fitted exactly."""
    rng = np.random.default_rng(3)
    texts = [rng.integers(0, 8, 50).tolist() for _ in range(20)]
    found = cooccurrences.count([stretch(texts)], 8, 4, 1000, tmp_path)
    model = Glove.initialise(8, 8, 10.0, 0.75, seed=0)
    losses = train(model, found, 1500, 0.2, seed=0)
    assert losses[-1] < 1e-3 < losses[0] / 100
    part = found.part(0)
    first, second = torch.from_numpy(part.first), torch.from_numpy(part.second)
    *_, error = model.errors(first, second, torch.from_numpy(part.counts))
    assert float(error.abs().max()) < 0.1


def test_vectors_are_reproducible_by_the_seed(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    texts = [rng.integers(0, 8, 50).tolist() for _ in range(20)]
    found = cooccurrences.count([stretch(texts)], 8, 4, 1000, tmp_path)
    made = []
    for seed in (0, 0, 1):
        model = Glove.initialise(8, 4, 10.0, 0.75, seed)
        train(model, found, 3, 0.05, seed)
        made.append(model.vectors())
    assert np.array_equal(made[0], made[1])
    assert not np.allclose(made[0], made[2])
    assert made[0].shape == (8, 4)
