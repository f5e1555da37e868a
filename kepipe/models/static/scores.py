"""Evaluation of word vectors on analogies and word similarity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kepipe.models.static.word_vectors import WordVectors
from kg.regular_files import read_text

VOCABULARY = 300_000
"""Answers to analogies are searched among this many of the most frequent words."""
BLOCK = 512
"""Questions that are answered at a time."""


@dataclass(frozen=True)
class AnalogyScore:
    """Counts of a section's questions: with vectors of all four words, answered correctly, and all."""

    asked: int
    right: int
    questions: int


@dataclass(frozen=True)
class SimilarityScore:
    """Spearman's correlation with human scores, over the pairs whose words both have vectors; their number, and that of
    all pairs."""

    spearman: float
    asked: int
    pairs: int


def read_analogies(file: Path) -> dict[str, list[tuple[str, str, str, str]]]:
    """Section → its questions, from a file in the format of Mikolov et al.'s questions-words.txt (2013): `: section`,
    then four words per line, the last of which is the answer. Raises ValueError with the number of an invalid line."""
    sections: dict[str, list[tuple[str, str, str, str]]] = {}
    name = "questions"
    for number, line in enumerate(read_text(file).splitlines(), 1):
        if line.startswith(":"):
            name = line[1:].strip()
        elif line.strip():
            words = line.split()
            if len(words) != 4:
                raise ValueError(f"{file}:{number}: expected four words, found {line[:60]!r}")
            sections.setdefault(name, []).append((words[0], words[1], words[2], words[3]))
    return sections


def read_pairs(file: Path) -> list[tuple[str, str, float]]:
    """Pairs of words with their similarity, from a file with three columns such as WordSim-353 (Finkelstein et al.
    2002); lines with `#` are skipped. Raises ValueError with the number of an invalid line."""
    pairs = []
    for number, line in enumerate(read_text(file).splitlines(), 1):
        if line.startswith("#") or not line.strip():
            continue
        try:
            first, second, value = line.split("\t")
            pairs.append((first, second, float(value)))
        except ValueError:
            raise ValueError(
                f"{file}:{number}: expected two words and a number, found {line[:60]!r}"
            ) from None
    return pairs


def score_analogies(
    vectors: WordVectors, sections: Mapping[str, Sequence[tuple[str, str, str, str]]]
) -> dict[str, AnalogyScore]:
    """Section → its score, ignoring case. An answer is the nearest word to b − a + c, other than the three (see
    `WordVectors.analogy`); questions with a word without a vector are skipped."""
    rows: dict[str, int] = {}
    for row, word in enumerate(vectors.words[:VOCABULARY]):
        rows.setdefault(word.upper(), row)
    known = np.array([*rows.values()], np.int64)
    places = {word: place for place, word in enumerate(rows)}
    directions = vectors.directions[known]
    scores = {}
    for name, questions in sections.items():
        asked = np.array([*_places(questions, places)], np.int64).reshape(-1, 4)
        right = 0
        for start in range(0, len(asked), BLOCK):
            a_B, b_B, c_B, answer_B = asked[start : start + BLOCK].T
            cosines_BW = (directions[b_B] - directions[a_B] + directions[c_B]) @ directions.T
            np.put_along_axis(cosines_BW, np.stack([a_B, b_B, c_B], 1), -np.inf, axis=1)
            right += int((cosines_BW.argmax(1) == answer_B).sum())
        scores[name] = AnalogyScore(len(asked), right, len(questions))
    return scores


def _places(questions: Sequence[tuple[str, ...]], places: Mapping[str, int]) -> Iterator[list[int]]:
    for question in questions:
        found = [places.get(word.upper(), -1) for word in question]
        if min(found) >= 0:
            yield found


def score_similarity(vectors: WordVectors, pairs: Sequence[tuple[str, str, float]]) -> SimilarityScore:
    """The rank correlation of cosines and human scores, ignoring case."""
    from scipy.stats import spearmanr

    rows: dict[str, int] = {}
    for row, word in enumerate(vectors.words):
        rows.setdefault(word.upper(), row)
    known = [
        (rows[first.upper()], rows[second.upper()], value)
        for first, second, value in pairs
        if first.upper() in rows and second.upper() in rows
    ]
    if len(known) < 3:
        return SimilarityScore(float("nan"), len(known), len(pairs))
    first, second = (np.array([pair[side] for pair in known]) for side in (0, 1))
    cosines = (vectors.directions[first] * vectors.directions[second]).sum(1)
    found = spearmanr(cosines, [value for *_, value in known])
    return SimilarityScore(float(found.statistic), len(known), len(pairs))
