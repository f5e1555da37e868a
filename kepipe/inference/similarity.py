"""Agreement of a model's text vectors with human judgements of semantic similarity."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kepipe.data.line_readers import json_lines
from kepipe.inference.text_vectors import TextVectors
from kepipe.objectives.contrastive.loss import alignment, uniformity
from kg.problems import Problems
from kg.regular_files import open_regular

KEYS = ("text_a", "text_b", "score")
ALIKE = 0.75
"""Pairs above this share of the range of scores are positive pairs, which are used for alignment."""


@dataclass(frozen=True)
class SimilarPair:
    """Two texts with a human similarity score."""

    first: str
    second: str
    score: float


@dataclass(frozen=True)
class Similarity:
    """`spearman`: rank correlation of cosines and scores. `alignment`: mean squared distance of positive pairs;
    `uniformity`: of all texts (Wang & Isola 2020). Lower is better for both."""

    spearman: float
    alignment: float
    uniformity: float
    pairs: int


def read_similar(file: Path) -> list[SimilarPair]:
    """Read pairs from a TSV with the columns `text_a`, `text_b`, `score`, or from JSON lines with these keys. Raises
    ValueError with file and line, and for fewer than two pairs."""
    lines = json_lines(file, Problems(strict=True)) if file.suffix in (".jsonl", ".json") else _table(file)
    pairs = [_pair(file, number, record) for number, record in lines]
    if len(pairs) < 2:
        raise ValueError(f"{file}: {len(pairs)} pairs of texts: at least two are needed")
    return pairs


def _table(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    with open_regular(file) as stream:
        text = stream.read().decode("utf-8-sig")
    rows = csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    yield from enumerate(rows, start=2)


def _pair(file: Path, number: int, record: Any) -> SimilarPair:
    try:
        first, second, score = (record[key] for key in KEYS)
        if not (isinstance(first, str) and isinstance(second, str)):
            raise TypeError
        return SimilarPair(first, second, float(score))
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"{file}:{number}: expected `text_a`, `text_b` and a number as `score`") from None


def measure(vectors: TextVectors, pairs: list[SimilarPair]) -> Similarity:
    """The scores of a model on the pairs."""
    from scipy import stats

    first_ND, second_ND = (
        torch.from_numpy(vectors([getattr(pair, side) for pair in pairs])) for side in ("first", "second")
    )
    scores_N = np.array([pair.score for pair in pairs])
    cosines_N = (first_ND * second_ND).sum(1).numpy()
    alike_N = torch.from_numpy(scores_N >= scores_N.min() + ALIKE * np.ptp(scores_N))
    return Similarity(
        float(stats.spearmanr(cosines_N, scores_N).statistic),
        float(alignment(first_ND[alike_N], second_ND[alike_N])),
        float(uniformity(torch.from_numpy(np.unique(np.concatenate([first_ND, second_ND]), axis=0)))),
        len(pairs),
    )
