"""Hand-made rows and a tokenizer without text."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from torch import Tensor

from kepipe.data.batch import ExampleRefs, TokenRows
from kepipe.objectives import table
from kepipe.objectives.base import Objective
from kepipe.tokenization.tokenizer import Tokenizer

PAD, UNK, CLS, SEP, MASK = range(5)
SENTINELS = np.arange(5, 25)
VOCABULARY = 100


class Ids:
    """The token ids that objectives need from a tokenizer."""

    pad, cls, sep, mask = PAD, CLS, SEP, MASK
    vocab_size = VOCABULARY
    sentinels = SENTINELS
    special = np.arange(25)
    ordinary = np.arange(25, VOCABULARY)


TOKENIZER = cast(Tokenizer, Ids())


def collate(name: str, rows: TokenRows, tokenizer: Tokenizer = TOKENIZER) -> Any:
    """The batch of an objective with its default settings, half-way through the training."""
    objective = table.build(table.read(name), tokenizer)
    return objective.collate(rows, np.random.default_rng(0), 0.5)


def rows(count: int = 8, length: int = 32, seed: int = 0, pairs: bool = False, **changes: Any) -> TokenRows:
    """[CLS] text [SEP] of random lengths: words of 1 token, phrases of 2, entities of 3, sentences of 6."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(length // 2, length + 1, (count, 1))
    lengths[0] = length
    positions = np.broadcast_to(np.arange(length), (count, length))
    text = (positions > 0) & (positions < lengths - 1)
    tokens = np.where(text, rng.integers(25, VOCABULARY, (count, length)), PAD)
    tokens[:, 0] = CLS
    np.put_along_axis(tokens, lengths - 1, SEP, axis=1)

    def units(size: int) -> npt.NDArray[np.int64]:
        return np.where(text, (positions - 1) // size, -1)

    fields: dict[str, Any] = {
        "tokens": tokens,
        "segments": np.where(pairs & (positions >= lengths // 2) & (positions < lengths), 1, 0),
        "documents": (positions < lengths).astype(np.int64),
        "special": ~text,
        "units": {"word": units(1), "phrase": units(2), "entity": units(3)},
        "entities": np.full((count, length), -1),
        "sentences": units(6),
        "next_sentence_labels": rng.integers(0, 2, count) if pairs else None,
        "row_labels": lengths[:, 0] % 2,
        "token_labels": np.where(text, tokens % 2, -1),
    }
    return TokenRows(**(fields | changes))


def corruptions(objective: Objective, epochs: int = 7) -> list[Tensor]:
    """The corruption of the same eight examples in each epoch, whose order differs; in the order of the first epoch."""
    corrupted = []
    for epoch in range(epochs):
        order = np.random.default_rng(epoch).permutation(8)
        clean = rows(refs=ExampleRefs(order, epoch, 5))
        shuffled = replace(
            clean,
            tokens=clean.tokens[order],
            documents=clean.documents[order],
            special=clean.special[order],
            units={level: units[order] for level, units in clean.units.items()},
        )
        batch = objective.collate(shuffled, np.random.default_rng([0, epoch]), 0.0)
        corrupted.append(batch.tokens[np.argsort(order)])
    return corrupted
