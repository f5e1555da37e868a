"""Words and their vectors: the nearest words, and analogies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from kepipe.arrays import Floats32, Ints

Compose = Callable[[str], Floats32]
"""A word without a row → its vector, float [D]. Raises ValueError if none can be composed."""


@dataclass(frozen=True)
class WordVectors:
    """`words`: W strings, most frequent first if frequencies are known. `vectors`: float [W, D]. `compose`: the vector
    of a word without a row, as fastText composes it of subwords; None: it has none."""

    words: Sequence[str]
    vectors: npt.NDArray[Any]
    compose: Compose | None = None

    @cached_property
    def rows(self) -> dict[str, int]:
        """Word → row; the first one of duplicates."""
        return {word: row for row, word in reversed([*enumerate(self.words)])}

    @cached_property
    def directions(self) -> Floats32:
        """The normalised vectors, [W, D]; zero vectors stay zero."""
        return unit(self.vectors)

    def vector(self, word: str) -> Floats32:
        """The vector of a word, [D]. Raises ValueError if there is none, with similarly spelt words."""
        row = self.rows.get(word)
        if row is not None:
            return np.asarray(self.vectors[row], np.float32)
        if self.compose is not None:
            return self.compose(word)
        from kepipe.config import suggest

        raise ValueError(f"no vector of {word!r}{suggest(word, self.words)}")

    def nearest(self, word: str, count: int = 10) -> list[tuple[str, float]]:
        """The words with the most similar directions, and the cosine of each; not the word itself."""
        return self._most_similar(unit(self.vector(word)[None])[0], [word], count)

    def analogy(self, a: str, b: str, c: str, count: int = 10) -> list[tuple[str, float]]:
        """What is to `c` as `b` is to `a`: the words, other than these, nearest to b − a + c of normalised vectors
        (Mikolov et al. 2013, "Linguistic Regularities in Continuous Space Word Representations", §4)."""
        a_D, b_D, c_D = unit(np.stack([self.vector(word) for word in (a, b, c)]))
        return self._most_similar(unit((b_D - a_D + c_D)[None])[0], [a, b, c], count)

    def _most_similar(self, asked_D: Floats32, without: Sequence[str], count: int) -> list[tuple[str, float]]:
        cosines_W = self.directions @ asked_D
        cosines_W[[self.rows[word] for word in without if word in self.rows]] = -np.inf
        count = min(count, int(np.isfinite(cosines_W).sum()))
        return [(self.words[row], float(cosines_W[row])) for row in _highest(cosines_W, count).tolist()]


def unit(vectors_ND: npt.NDArray[Any]) -> Floats32:
    """Normalised vectors, as float32; zero vectors stay zero."""
    vectors_ND = np.asarray(vectors_ND, np.float32)
    lengths_N1 = np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    directions_ND: Floats32 = np.divide(
        vectors_ND, lengths_N1, out=np.zeros_like(vectors_ND), where=lengths_N1 > 0
    )
    return directions_ND


def _highest(values: Floats32, count: int) -> Ints:
    """The indices of the highest values, in descending order; ties by index."""
    if count < 1:
        return np.zeros(0, np.int64)
    least = np.partition(values, len(values) - count)[len(values) - count]
    found = np.flatnonzero(values >= least)
    return found[np.argsort(-values[found], kind="stable")][:count]
