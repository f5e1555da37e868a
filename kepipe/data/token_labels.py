"""Token labels: whether a word is capitalised, and whether a token also occurs elsewhere in its document (Sun et al.
2020, "ERNIE 2.0", §4.2.1)."""

from __future__ import annotations

import numpy as np

from kepipe.arrays import Bools, Ints, ranges
from kepipe.data.alignment import CAPITAL, WORD
from kepipe.data.examples import Examples
from kepipe.data.shards import STRETCH, Shard
from kepipe.tokenization.tokenizer import Tokenizer

UNLABELLED = -1
"""The label of a token without a label."""


def has_capitals(shard: Shard) -> bool:
    """Whether any word of the text begins with a capital letter."""
    stretches = (shard.bounds[start : start + STRETCH] for start in range(0, len(shard), STRETCH))
    return any(bool((bounds & CAPITAL).any()) for bounds in stretches)


def with_case(tokenizer: Tokenizer) -> Bools:
    """Which tokens begin with a letter of an alphabet that has capitals: bool [V]."""
    texts = (
        tokenizer.decode([token]).strip().removeprefix("##")[:1] for token in range(tokenizer.vocab_size)
    )
    return np.array([text.lower() != text.upper() for text in texts])


def capital_labels(shard: Shard, examples: Examples, with_case_V: Bools, rows_B: Ints) -> Ints:
    """The labels of the text tokens of rows of one piece each, concatenated: 1 if a word begins with a capital letter,
    0 if it could and does not, −1 elsewhere: int [tokens]."""
    places = _places(examples, rows_B)
    bounds = shard.bounds[places]
    asked = ((bounds & WORD) > 0) & with_case_V[shard.tokens[places]]
    return np.where(asked, (bounds & CAPITAL) > 0, UNLABELLED).astype(np.int64)


def elsewhere_labels(shard: Shard, examples: Examples, rows_B: Ints) -> Ints:
    """As `capital_labels`: 1 if the token also occurs in its document outside the row, else 0: int [tokens]."""
    labels = []
    for row in rows_B.tolist():
        start, stop = int(examples.starts[row]), int(examples.stops[row])
        document = int(np.searchsorted(shard.documents, start, side="right")) - 1
        begin, end = shard.documents[document : document + 2]
        outside = np.concatenate([shard.tokens[begin:start], shard.tokens[stop:end]])
        labels.append(np.isin(shard.tokens[start:stop], outside))
    return np.concatenate(labels).astype(np.int64)


def of_parted_documents(shard: Shard, examples: Examples) -> Examples:
    """The examples, of one piece each, whose documents have other examples. Raises ValueError if there are none."""
    documents = np.searchsorted(shard.documents, examples.starts, side="right") - 1
    kept = np.bincount(documents)[documents] > 1
    if not kept.any():
        raise ValueError(
            f"{shard.folder}: every document fits into one row: set a smaller `length`, so that there are several"
        )
    parts = {
        name: getattr(examples, name)[kept]
        for name in ("starts", "stops", "opens", "closes", "segment", "document")
    }
    return Examples(first=np.arange(int(kept.sum()) + 1), **parts)


def _places(examples: Examples, rows_B: Ints) -> Ints:
    """Indices into the stream of the text tokens of rows of one piece each."""
    return ranges(examples.starts[rows_B], examples.stops[rows_B] - examples.starts[rows_B])
