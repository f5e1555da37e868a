"""Texts concatenated into one string, so that features are computed for all of them in one vectorised pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from kepipe.arrays import Ints
from kepipe.linking.text.annotations import Annotations
from kepipe.linking.text.casing import capital_runs
from kepipe.linking.text.characters import code_points
from kg.surface import fold

BATCH_CHARACTERS = 100_000
"""A batch ends after the text that brings it to this many characters."""
BATCH_TEXTS = 256
"""A batch has at most this many texts."""


@dataclass(frozen=True)
class TextBatch:
    """D texts with their titles ("" none) and annotations. Batch offsets are character offsets into `text`."""

    texts: Sequence[str]
    titles: Sequence[str]
    annotations: Sequence[Annotations]

    @cached_property
    def text(self) -> str:
        """The texts joined by line breaks; no word or name crosses a line break."""
        return "\n".join(self.texts)

    @cached_property
    def begins(self) -> Ints:
        """Batch offset of the start of each text, and of the end plus 1: [D + 1]."""
        return begins(self.texts)

    @cached_property
    def folded(self) -> str:
        """The batch case-folded and normalised, as the keys of the lexicon are."""
        return "\n".join(map(fold, self.texts))

    @cached_property
    def codes(self) -> npt.NDArray[np.uint32]:
        """Code points of the batch, with two line breaks appended, so that `offset + 1` and `offset - 1` are valid."""
        return code_points(f"{self.text}\n\n")

    @cached_property
    def runs(self) -> Ints:
        """Starts and ends of the runs of capitalised words in the batch: [n, 2]."""
        return np.asarray(capital_runs(self.text), np.int64).reshape(-1, 2)

    def number(self, offsets: Ints) -> Ints:
        """The index of the text at each batch offset: 0 … D − 1."""
        numbers: Ints = np.searchsorted(self.begins, offsets, "right") - 1
        return numbers

    def spans(self, of_texts: Iterable[Sequence[tuple[Any, ...]]]) -> Ints:
        """Spans of each text (fields after start and end are ignored) → batch offsets of starts and ends: [n, 2]."""
        groups = list(of_texts)
        counts = [len(spans) for spans in groups]
        flat = chain.from_iterable(span[:2] for spans in groups for span in spans)
        shift = np.repeat(self.begins[:-1], counts)
        return np.fromiter(flat, np.int64, 2 * len(shift)).reshape(-1, 2) + shift[:, None]


def begins(texts: Sequence[str]) -> Ints:
    """Start of each text when joined by one-character separators, and the start of a next one: [D + 1]."""
    starts = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) + 1 for text in texts], out=starts[1:])
    return starts


def text_batches(rows: Iterable[tuple[str, str, Annotations]]) -> Iterator[TextBatch]:
    """Cut a stream of texts, each with title and annotations, into batches."""
    held: list[tuple[str, str, Annotations]] = []
    size = 0
    for row in rows:
        held.append(row)
        size += len(row[0])
        if size >= BATCH_CHARACTERS or len(held) == BATCH_TEXTS:
            yield TextBatch(*zip(*held, strict=True))
            held, size = [], 0
    if held:
        yield TextBatch(*zip(*held, strict=True))
