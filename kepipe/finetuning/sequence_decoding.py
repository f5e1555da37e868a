"""Decoding of valid label sequences: allowed transitions, the most probable sequence (Viterbi), and label marginals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kepipe.arrays import Bools, Floats, Ints
from kepipe.finetuning.conll import OUTSIDE

NEVER = -1e4
"""The score of a label or transition that is not allowed."""
_CONTINUES = frozenset("IME")
"""Letters that continue a span: they follow B, I or M of the same type."""
_STAYS_OPEN = frozenset("BIM")


@dataclass(frozen=True)
class Transitions:
    """Scores of the first label, float [L], of the last label, [L], and of each pair of neighbouring labels, [L, L]."""

    first: Floats
    last: Floats
    pairs: Floats


def allowed(labels: Sequence[str]) -> tuple[Bools, Bools, Bools]:
    """Which labels may be first [L], last [L], and follow each other [L, L], all bool, so that all spans are valid
    by BIO, or where there is a letter for the end of a span, BIOES and BILOU."""
    ends = any(label[0] in "ES" for label in labels)

    def follows(before: str, label: str) -> bool:
        same = label[1:] == before[1:]
        if label[0] in _CONTINUES and label != OUTSIDE:
            return before[0] in _STAYS_OPEN and same
        return not (ends and before[0] in _STAYS_OPEN)

    first_L = np.array([follows(OUTSIDE, label) for label in labels])
    last_L = np.array([follows(label, OUTSIDE) for label in labels])
    pairs_LL = np.array([[follows(before, label) for label in labels] for before in labels])
    return first_L, last_L, pairs_LL


def rules(labels: Sequence[str]) -> Transitions:
    """Transition scores: 0 if allowed, else `NEVER`."""
    return Transitions(*(np.where(may, 0.0, NEVER) for may in allowed(labels)))


def as_valid_bio(labels: Sequence[str]) -> list[str]:
    """Valid BIO labels of a sentence: the I that starts a span becomes B, as in CoNLL's evaluation. Labels with letters
    for the end of a span are unchanged."""
    if any(label[0] in "ESM" for label in labels):
        return list(labels)
    before = [OUTSIDE, *labels]
    return [
        f"B{label[1:]}" if label[0] == "I" and before[place][1:] != label[1:] else label
        for place, label in enumerate(labels)
    ]


def likeliest_sequence(scores_WL: Floats, transitions: Transitions) -> Ints:
    """The label sequence with the highest score (Viterbi 1967), int [W]."""
    if not len(scores_WL):
        return np.zeros(0, np.int64)
    best_L = transitions.first + scores_WL[0]
    came_from = []
    for scores_L in scores_WL[1:]:
        through_LL = best_L[:, None] + transitions.pairs
        came_from.append(through_LL.argmax(axis=0))
        best_L = through_LL.max(axis=0) + scores_L
    path = [int((best_L + transitions.last).argmax())]
    for back_L in reversed(came_from):
        path.append(int(back_L[path[-1]]))
    return np.array(path[::-1], np.int64)


def marginals(scores_WL: Floats, transitions: Transitions) -> Floats:
    """The marginal probability of each label of each word, float [W, L], by the forward-backward algorithm in log space
    (Rabiner 1989, §III)."""
    if not len(scores_WL):
        return np.zeros_like(scores_WL)
    forward, backward = np.empty_like(scores_WL), np.empty_like(scores_WL)
    forward[0] = transitions.first + scores_WL[0]
    for word in range(1, len(scores_WL)):
        through_LL = forward[word - 1][:, None] + transitions.pairs
        forward[word] = scores_WL[word] + _logsumexp(through_LL, axis=0)
    backward[-1] = transitions.last
    for word in range(len(scores_WL) - 2, -1, -1):
        through_LL = transitions.pairs + scores_WL[word + 1] + backward[word + 1]
        backward[word] = _logsumexp(through_LL, axis=1)
    both_WL = forward + backward
    return np.exp(both_WL - _logsumexp(both_WL, axis=1)[:, None])


def _logsumexp(values: Floats, axis: int) -> Floats:
    most = values.max(axis=axis, keepdims=True)
    summed: Floats = np.log(np.exp(values - most).sum(axis=axis)) + most.squeeze(axis)
    return summed
