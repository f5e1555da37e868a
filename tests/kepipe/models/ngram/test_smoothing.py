"""Smoothing: the equations, computed by hand or by another program, and distributions that sum to one."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kepipe.models.ngram.counting import BOS, EOS
from kepipe.models.ngram.smoothing import FALLBACK, SMOOTHINGS, discounts, good_turing
from kepipe.models.ngram.tables import NgramTables
from tests.support.ngrams import KneserNey, contexts_of, estimated, occurrences, stream, zipf

ROOT = Path(__file__).parents[4]


def distribution(tables: NgramTables, context: tuple[int, ...]) -> np.ndarray:
    found = 10 ** tables.following([np.array(context)])[0]
    found[BOS] = 0
    return found


@pytest.mark.parametrize("name", SMOOTHINGS)
def test_smoothing_method_is_documented(name: str) -> None:
    assert f"| {name} |" in (ROOT / "docs/ngram.md").read_text(encoding="utf-8")


@settings(max_examples=60, deadline=None)
@example(text=[[]], order=4, name="add-k", prune=(0,), k=0.01)
@example(text=[[]], order=3, name="kneser-ney", prune=(0, 1), k=1.0)
@given(
    text=st.lists(st.lists(st.integers(3, 8), max_size=7), min_size=1, max_size=12),
    order=st.integers(1, 6),
    name=st.sampled_from(sorted(SMOOTHINGS)),
    prune=st.sampled_from([(0,), (0, 1), (0, 0, 1), (0, 1, 2)]),
    k=st.sampled_from([0.01, 1.0, 3.5]),
)
def test_smoothed_probabilities_sum_to_one(
    text: list[list[int]], order: int, name: str, prune: tuple[int, ...], k: float
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tables = estimated(text, 10, order, name, Path(folder), prune[:order], k)
        for context in contexts_of(text, [(BOS, 9, 9), (3,), (0, 4), (8, 3, 3, 5, 5, 4)]):
            found = distribution(tables, context)
            assert found.sum() == pytest.approx(1, abs=2e-6)
            assert (found >= 0).all()


@pytest.mark.parametrize("prune", [(), (0, 0, 1), (0, 1, 2, 2)])
@pytest.mark.parametrize(("sentences", "order"), [(300, 4), (300, 3), (6, 3), (60, 2), (60, 1)])
def test_kneser_ney_equals_its_equations(
    sentences: int, order: int, prune: tuple[int, ...], tmp_path: Path
) -> None:
    text = zipf(7, sentences, 25)
    prune = prune[:order]
    ours = estimated(text, 27, order, "kneser-ney", tmp_path, prune or (0,))
    prune += prune[-1:] * (order - len(prune))
    theirs = KneserNey(text, 27, order, prune)
    for context in contexts_of(zipf(8, 20, 25), [(BOS, 26)]):
        found = distribution(ours, context)
        expected = [theirs.p(word, context) for word in range(27)]
        expected[BOS] = 0
        assert np.abs(np.log10(found[2:]) - np.log10(expected[2:])).max() < 1e-5


def test_discounts_by_hand() -> None:
    # Y = 100 / (100 + 2 · 40); D1 = 1 − 2Y·40/100, D2 = 2 − 3Y·20/40, D3+ = 3 − 4Y·12/20
    y = 100 / 180
    expected = (1 - 2 * y * 0.4, 2 - 3 * y * 0.5, 3 - 4 * y * 0.6)
    assert discounts([0, 100, 40, 20, 12, 0, 0, 0]) == pytest.approx(expected)
    assert discounts([0, 100, 40, 0, 12, 0, 0, 0]) == FALLBACK
    assert discounts([0, 10, 0, 0, 0, 0, 0, 0]) == FALLBACK


def test_witten_bell_equals_its_equation(tmp_path: Path) -> None:
    text = zipf(9, 80, 12)
    tables = estimated(text, 12, 2, "witten-bell", tmp_path)
    singles, pairs = occurrences(text, 1), occurrences(text, 2)
    total, kinds = singles.total(), len(singles)

    def p(word: int, before: int) -> float:
        alone = (singles[(word,)] + kinds / 11) / (total + kinds)
        following = {pair: c for pair, c in pairs.items() if pair[0] == before}
        seen = sum(following.values())
        return (pairs[before, word] + len(following) * alone) / (seen + len(following))

    for before in (BOS, 3, 4, 7):
        expected = [0 if word == BOS else p(word, before) for word in range(12)]
        assert distribution(tables, (before,)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("k", [0.1, 1.0])
def test_add_k_does_not_back_off(k: float, tmp_path: Path) -> None:
    text = zipf(10, 60, 8)
    tables = estimated(text, 8, 3, "add-k", tmp_path, k=k)
    triples, pairs = occurrences(text, 3), occurrences(text, 2)
    for context in [(3, 4), (BOS, 3), (4, 4), (7, 7)]:
        seen = sum(c for ngram, c in triples.items() if ngram[:2] == context)
        expected = [(triples[(*context, word)] + k) / (seen + 7 * k) for word in range(8)]
        assert distribution(tables, context)[2:] == pytest.approx(expected[2:], rel=1e-5)
    firsts = sum(c for ngram, c in pairs.items() if ngram[0] == BOS)
    expected = [(pairs[BOS, word] + k) / (firsts + 7 * k) for word in range(8)]
    assert distribution(tables, (BOS,))[2:] == pytest.approx(expected[2:], rel=1e-5)


def test_good_turing_by_hand() -> None:
    n = [0, 1000, 400, 220, 140, 95, 70, 55]
    a = 6 * 70 / 1000
    for c in range(1, 6):
        ratio = (c + 1) * n[c + 1] / n[c] / c
        assert good_turing(n)[c] / c == pytest.approx((ratio - a) / (1 - a))
    assert good_turing([0, 3, 0, 0, 0, 0, 0, 0]).tolist() == [0, 0.5, 1.5, 2.5, 3.5, 4.5]


def test_katz_gives_the_discounted_mass_to_unseen_words(tmp_path: Path) -> None:
    text = zipf(11, 400, 30)
    tables = estimated(text, 30, 2, "katz", tmp_path)
    pairs = occurrences(text, 2)
    kept = good_turing([sum(c == n for c in pairs.values()) for n in range(8)])
    lower = distribution(tables, ())
    for before in (BOS, 3, 5, 9):
        following = {pair[1]: c for pair, c in pairs.items() if pair[0] == before}
        seen = {word: (kept[c] if c <= 5 else c) / sum(following.values()) for word, c in following.items()}
        if sum(seen.values()) > 1 - 1e-9:
            continue
        left = (1 - sum(seen.values())) / (1 - sum(lower[word] for word in seen))
        expected = [seen.get(word, left * lower[word]) for word in range(30)]
        expected[BOS] = 0
        assert distribution(tables, (before,)) == pytest.approx(
            expected, rel=3e-4
        )  # 1 − a sum near 1, in float32


def test_katz_keeps_mass_if_all_counts_are_reliable(tmp_path: Path) -> None:
    tables = estimated([[3, 4]] * 20 + [[5]] * 20, 8, 2, "katz", tmp_path)
    after_3 = distribution(tables, (3,))
    assert after_3[4] == pytest.approx(20 / 21, rel=1e-5)
    assert (after_3[[0, 5, EOS]] > 0).all()


def test_pruning_removes_rare_n_grams_and_keeps_prefixes(tmp_path: Path) -> None:
    text = zipf(12, 200, 40)
    tables = estimated(text, 40, 4, "kneser-ney", tmp_path, (0, 0, 1, 2))
    for order, limit in ((2, 0), (3, 1), (4, 2)):
        expected = sorted(ngram for ngram, c in occurrences(text, order).items() if c > limit)
        assert [*map(tuple, tables.ngrams(order, slice(0, None)).tolist())] == expected


def test_longer_n_grams_make_a_text_likelier(tmp_path: Path) -> None:
    text = zipf(13, 10, 30) * 5
    means = []
    for order in (1, 2, 4):
        tables = estimated(text, 30, order, "kneser-ney", tmp_path / str(order))
        words = stream(text)
        means.append(tables.score(words)[words != BOS].mean())
    assert means == sorted(means)
    assert Counter(map(np.sign, means)) == {-1.0: 3}
