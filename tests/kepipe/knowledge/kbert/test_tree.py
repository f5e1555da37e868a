"""Sentence trees: the paper's example cell by cell, and invariants of every tree."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kepipe.knowledge.kbert.tree import Branches, InjectedRows, MentionSpans, TreeShape, build_rows
from kepipe.nn.visibility import by_name

Ints = npt.NDArray[np.int64]


def ints(values: list[int]) -> Ints:
    return np.array(values, np.int64)


def mentions(*spans: tuple[int, int, int]) -> MentionSpans:
    return MentionSpans(*(ints([span[place] for span in spans]) for place in range(3)))


def branches(*hanging: tuple[int, str]) -> Branches:
    """(anchor, text): a character is a token."""
    return Branches(
        ints([anchor for anchor, _ in hanging]),
        ints([len(text) for _, text in hanging]),
        ints([ord(char) for _, text in hanging for char in text]),
    )


def rows(*texts: str) -> tuple[Ints, Ints]:
    width = max(map(len, texts))
    return np.array([[ord(char) for char in text.ljust(width, "_")] for text in texts]), ints(
        [*map(len, texts)]
    )


def text(injected: InjectedRows, row: int = 0) -> str:
    return "".join(map(chr, injected.tokens[row]))


def sees(injected: InjectedRows, name: str = "full") -> npt.NDArray[np.bool_]:
    tensors = [
        torch.from_numpy(values) for values in (injected.owner + 1 > 0, injected.branch, injected.mention)
    ]
    visibility = by_name(name, tensors[0].long(), branch_BT=tensors[1], mention_BT=tensors[2])
    length = injected.tokens.shape[1]
    dense = visibility.dense(len(injected.tokens), length, length)
    assert dense is not None
    return np.asarray(dense.expand(len(injected.tokens), length, length))


# Liu et al. 2020, figure 2: ^ is [CLS]
COOK = rows("^库克正在访问北京")
FACTS = branches((0, "CEO苹果"), (1, "首都中国"), (1, "是一座城市"))
WORDS = mentions((0, 1, 3), (0, 7, 9))


def test_tree_of_the_papers_example() -> None:
    injected = build_rows(*COOK, WORDS, FACTS)
    assert text(injected) == "^库克CEO苹果正在访问北京首都中国是一座城市"
    assert injected.positions[0].tolist() == [
        *(0, 1, 2), *(3, 4, 5, 6, 7), *(3, 4, 5, 6, 7, 8), *(9, 10, 11, 12), *(9, 10, 11, 12, 13),
    ]  # fmt: skip
    assert injected.branch[0].tolist() == [0] * 3 + [1] * 5 + [0] * 6 + [2] * 4 + [3] * 5
    assert injected.mention[0].tolist() == [0] + [1] * 7 + [0] * 4 + [2] * 11
    assert injected.places[0].tolist() == [0, 1, 2, 8, 9, 10, 11, 12, 13]
    assert injected.lengths.tolist() == [23]


def test_visible_matrix_of_the_papers_example() -> None:
    drawn = """
    ^库克CEO苹果正在访问北京首都中国是一座城市
    111.....111111.........
    11111111111111.........
    11111111111111.........
    .1111111...............
    .1111111...............
    .1111111...............
    .1111111...............
    .1111111...............
    111.....111111.........
    111.....111111.........
    111.....111111.........
    111.....111111.........
    111.....11111111111111.
    """
    matrix = sees(build_rows(*COOK, WORDS, FACTS))[0]
    expected = [[cell == "1" for cell in line.strip()] for line in drawn.split()[1:13]]
    assert matrix[:12].tolist() == expected
    trunk, first, second = [0, 1, 2, *range(8, 14)], list(range(14, 18)), list(range(18, 23))
    for row, seen in [
        (12, trunk + first + second),
        (13, trunk + first + second),
        *((row, [12, 13, *first]) for row in first),
        *((row, [12, 13, *second]) for row in second),
    ]:
        assert np.flatnonzero(matrix[row]).tolist() == seen, row
    assert (matrix == matrix.T).all()


def test_causal_tree_puts_the_branch_before_the_last_mention_token() -> None:
    injected = build_rows(*COOK, WORDS, FACTS, TreeShape(causal=True))
    assert text(injected) == "^库CEO苹果克正在访问北首都中国是一座城市京"
    after = build_rows(*COOK, WORDS, FACTS)
    for name in ("tokens", "positions", "branch", "mention"):
        assert sorted(getattr(injected, name)[0]) == sorted(getattr(after, name)[0])
    matrix = sees(injected, "causal")[0]
    assert np.flatnonzero(matrix[7]).tolist() == list(range(8)), "克 sees the sentence so far and its branch"
    assert np.flatnonzero(matrix[1]).tolist() == [0, 1], "库 is written before the graph is asked"
    assert np.flatnonzero(matrix[4]).tolist() == [1, 2, 3, 4], "a branch sees its mention so far, and itself"
    assert np.flatnonzero(matrix[8]).tolist() == [0, 1, 7, 8], "what follows sees the sentence alone"
    assert np.flatnonzero(matrix[17]).tolist() == [12, 17], "the second branch does not see the first"
    written_after = sees(after, "causal")[0]
    on_sentence, on_branches = after.branch[0] == 0, after.branch[0] > 0
    assert not written_after[np.ix_(on_sentence, on_branches)].any(), (
        "hard order would hide it from the sentence"
    )


def test_tree_of_segment_pairs_and_repeated_mentions() -> None:
    """[CLS] aa b [SEP] aa [SEP]; the entity has two tokens and is met twice: each occurrence has its own branch."""
    tokens, lengths = rows("^aab$aa$", "^c$")
    injected = build_rows(tokens, lengths, mentions((0, 1, 3), (0, 5, 7)), branches((0, "xy"), (1, "xy")))
    assert text(injected) == "^aaxyb$aaxy$"
    assert text(injected, 1) == "^c$" + "\0" * 9
    segments = np.where(np.arange(8) > 4, 1, 0)[None].repeat(2, 0)
    assert injected.spread(segments)[0].tolist() == [0] * 7 + [1] * 5
    assert injected.positions[0].tolist() == [0, 1, 2, 3, 4, 3, 4, 5, 6, 7, 8, 7]
    assert injected.mention[0].tolist() == [0, 1, 1, 1, 1, 0, 0, 2, 2, 2, 2, 0]
    assert injected.branch[0].tolist() == [0, 0, 0, 1, 1, 0, 0, 0, 0, 2, 2, 0]
    matrix = sees(injected)[0]
    assert not matrix[3, 9], "two occurrences do not see each other's branches"
    assert not matrix[7, 3]
    assert injected.places[1].tolist() == [0, 1, 2] + [-1] * 5
    assert (injected.owner[1, 3:] == -1).all()
    assert injected.sentence.sum(1).tolist() == [8, 3]


def test_mention_without_triples_is_plain_text() -> None:
    injected = build_rows(*COOK, WORDS, branches((1, "首都")))
    assert injected.mention[0, :9].tolist() == [0] * 7 + [2, 2]


def test_truncation_drops_the_lowest_ranked_branches_first() -> None:
    def left(length: int) -> str:
        return text(build_rows(*COOK, WORDS, FACTS, TreeShape(length=length)))

    assert left(23) == "^库克CEO苹果正在访问北京首都中国是一座城市"
    assert left(22) == left(18) == "^库克CEO苹果正在访问北京首都中国"
    assert left(17) == left(14) == "^库克CEO苹果正在访问北京"
    assert left(13) == left(9) == "^库克正在访问北京"
    cut = build_rows(*COOK, WORDS, FACTS, TreeShape(length=5))
    assert text(cut) == "^库克正在"
    assert cut.places[0].tolist() == [0, 1, 2, 3, 4, -1, -1, -1, -1]
    assert cut.kept.tolist() == [False] * 3
    assert text(build_rows(*COOK, WORDS, branches((0, "CE"), (1, "首")), TreeShape(length=4))) == "^库克正", (
        "a cut mention has none"
    )


def test_upstream_truncates_the_flat_row() -> None:
    cut = build_rows(*COOK, WORDS, FACTS, TreeShape(length=10, upstream=True))
    assert text(cut) == "^库克CEO苹果正在"
    assert cut.places[0].tolist() == [0, 1, 2, 8, 9, -1, -1, -1, -1]
    assert cut.lengths.tolist() == [10]


def test_branch_beyond_the_last_position_is_dropped() -> None:
    injected = build_rows(*COOK, WORDS, FACTS, TreeShape(positions=13))
    assert injected.kept.tolist() == [True, True, False]
    assert injected.positions.max() == 12


@st.composite
def forests(draw: st.DrawFn) -> tuple[Ints, Ints, MentionSpans, Branches]:
    """Up to four rows with random mentions and branches."""
    texts: list[str] = []
    spans: list[tuple[int, int, int]] = []
    hanging: list[tuple[int, str]] = []
    for row in range(draw(st.integers(1, 4))):
        place = 0
        while draw(st.booleans()) and place < 12:
            first = place + draw(st.integers(0, 3))
            place = first + draw(st.integers(1, 3))
            sizes = draw(st.lists(st.integers(1, 4), max_size=3))
            hanging += [(len(spans), "x" * size) for size in sizes]
            spans.append((row, first, place))
        texts.append("s" * max(place + draw(st.integers(0, 3)), 1))
    return (*rows(*texts), mentions(*spans), branches(*hanging))


@settings(max_examples=150, deadline=None)
@given(forests(), st.booleans(), st.one_of(st.none(), st.integers(1, 40)))
def test_tree_invariants(
    forest: tuple[Ints, Ints, MentionSpans, Branches], causal: bool, length: int | None
) -> None:
    tokens, lengths, words, facts = forest
    injected = build_rows(tokens, lengths, words, facts, TreeShape(length=length, causal=causal))
    matrix = sees(injected)
    whole = lengths if length is None else np.minimum(lengths, length)
    for row in range(len(tokens)):
        size = injected.lengths[row]
        branch, positions = injected.branch[row, :size], injected.positions[row, :size]
        assert positions[branch == 0].tolist() == list(range(whole[row])), "the sentence counts as if alone"
        assert injected.tokens[row, :size][branch == 0].tolist() == tokens[row, : whole[row]].tolist()
        assert injected.places[row, : whole[row]].tolist() == np.flatnonzero(branch == 0).tolist()
        seen = matrix[row][:size, :size]
        both = (branch[:, None] > 0) & (branch[None, :] > 0)
        assert (seen[both] == (branch[:, None] == branch[None, :])[both]).all(), (
            "two branches never see each other"
        )
        free = injected.mention[row, :size] == 0
        assert not (seen & free[:, None] & (branch > 0)[None, :]).any(), (
            "whom nothing hangs from sees no branch"
        )
        for number in range(1, branch.max(initial=0) + 1):
            steps = np.diff(positions[branch == number])
            assert (steps == 1).all()
            last = injected.owner[row, :size][branch == number][0]
            assert positions[branch == number][0] == last + 1
    assert length is None or injected.lengths.max() <= length
    kept = facts.lengths[injected.kept].sum()
    assert (injected.branch > 0).sum() == kept, "branches are whole or not there"


@settings(max_examples=50, deadline=None)
@given(forests())
def test_tree_without_triples_is_the_plain_row(forest: tuple[Ints, Ints, MentionSpans, Branches]) -> None:
    tokens, lengths, words, _ = forest
    injected = build_rows(tokens, lengths, words, branches())
    there = np.arange(lengths.max()) < lengths[:, None]
    assert (injected.tokens[there] == tokens[:, : lengths.max()][there]).all()
    assert (injected.positions[there] == np.nonzero(there)[1]).all()
    assert not injected.branch.any()
    assert not injected.mention.any()


@settings(max_examples=50, deadline=None)
@given(forests())
def test_tree_rows_do_not_depend_on_their_batch(forest: tuple[Ints, Ints, MentionSpans, Branches]) -> None:
    tokens, lengths, words, facts = forest
    together = build_rows(tokens, lengths, words, facts, TreeShape(length=12))
    for row in range(len(tokens)):
        own = np.flatnonzero(words.rows == row)
        of_row = np.isin(facts.mentions, own)
        alone = build_rows(
            tokens[row : row + 1],
            lengths[row : row + 1],
            MentionSpans(np.zeros_like(own), words.first[own], words.stop[own]),
            Branches(
                facts.mentions[of_row] - (own[0] if len(own) else 0),
                facts.lengths[of_row],
                facts.tokens[np.repeat(of_row, facts.lengths)],
            ),
            TreeShape(length=12),
        )
        size = int(alone.lengths[0])
        assert size == together.lengths[row]
        for name in ("tokens", "positions", "branch", "mention"):
            assert getattr(alone, name)[0, :size].tolist() == getattr(together, name)[row, :size].tolist()


def against_the_words_of_the_paper(injected: InjectedRows) -> list[list[bool]]:
    """Equation 3 read literally, token by token: an independent visible matrix of the first row."""

    def same_branch(i: int, j: int) -> bool:
        return bool(injected.branch[0, i] == injected.branch[0, j])

    def hangs(i: int, j: int) -> bool:
        mine = injected.mention[0, i] == injected.mention[0, j] > 0
        return bool(mine and injected.branch[0, i] > 0 and injected.branch[0, j] == 0)

    places = range(injected.tokens.shape[1])
    return [[same_branch(i, j) or hangs(i, j) or hangs(j, i) for j in places] for i in places]


@pytest.mark.parametrize("changes", [{}, {"length": 18}, {"causal": True}])
def test_visible_matrix_equals_equation_3(changes: dict[str, Any]) -> None:
    injected = build_rows(*COOK, WORDS, FACTS, TreeShape(**changes))
    assert sees(injected)[0].tolist() == against_the_words_of_the_paper(injected)
