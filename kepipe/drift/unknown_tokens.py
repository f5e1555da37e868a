"""`unknown-tokens`: the share of tokens that are unknown to the model's tokenizer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kepipe.arrays import Floats
from kepipe.data.document import Document
from kepipe.drift.base import Drift, NotMeasurable, Windows, compare_means


def compare(windows: Windows) -> Drift:
    """The value of a document is the share of its tokens; the reference are documents held out from training."""
    from kepipe.tokenization.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(windows.model)
    unknown = tokenizer.backend.token_to_id(tokenizer.named.get("unk", "[UNK]"))
    if unknown is None:
        raise NotMeasurable("the tokenizer has no unknown token")

    def shares(documents: Sequence[Document]) -> Floats:
        encoded = tokenizer.encode([document.text for document in documents])
        pieces = np.split(encoded.tokens == unknown, np.cumsum(encoded.lengths)[:-1])
        return np.array([piece.mean() if len(piece) else np.nan for piece in pieces], np.float64)

    return compare_means(shares(windows.unseen), shares(windows.new), windows.rng(2))
