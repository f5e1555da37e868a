"""Split a graph's triples into train, valid and test."""

from __future__ import annotations

import numpy as np

from kg.arrays import Ints
from kg.store import Triples


def hold_out(
    triples: Triples, rng: np.random.Generator, valid: float = 0.05, test: float = 0.05
) -> dict[str, Triples]:
    """Draw `valid` and `test` (shares of all) from `triples`, int32 [n, 3]; the rest is "train".

    Every entity and relation of a held-out triple occurs in "train". All triples between the same two
    entities are in the same split: a fact whose inverse is in training ("A neighbours B", "B neighbours A")
    can be read off and measures nothing (Toutanova & Chen 2015, section 2). If too few triples can be held
    out, the held-out splits are proportionally smaller.
    """
    low, high = np.sort(triples[:, [0, 2]].astype(np.int64), axis=1).T
    _, group = np.unique(low * (high.max(initial=0) + 1) + high, return_inverse=True)
    groups = int(group.max(initial=-1)) + 1
    place = rng.permutation(groups)[group]
    spare = ~np.isin(np.arange(groups), group[_needed(triples, place)])
    sizes = np.bincount(group, minlength=groups)
    order = rng.permutation(groups)
    ends = np.cumsum(np.where(spare[order], sizes[order], 0))
    held_out = (valid + test) * len(triples)
    scale = min(1.0, ends[-1] / held_out) if groups and held_out else 0.0
    cuts = np.array([valid, valid + test]) * len(triples) * scale
    part_of_group = np.full(groups, 2)
    # A group whose last triple is before the first cut is validation; before the second, test.
    part_of_group[order] = np.where(spare[order], np.searchsorted(cuts, ends, side="left"), 2)
    part = part_of_group[group]
    return {"train": triples[part == 2], "valid": triples[part == 0], "test": triples[part == 1]}


def _needed(triples: Triples, place: Ints) -> Ints:
    """Triples that must be in training: the first one, in order of `place`, of each entity and each relation."""
    order = np.argsort(place, kind="stable")
    heads, relations, tails = triples[order].T
    _, first = np.unique(np.stack([heads, tails], axis=1).reshape(-1), return_index=True)
    _, first_of_relation = np.unique(relations, return_index=True)
    needed: Ints = order[np.unique(np.concatenate([first // 2, first_of_relation]))]
    return needed
