"""`unknown-tokens`: the share of tokens that the model's tokenizer does not know."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kepipe.arrays import Floats
from kepipe.data.document import Document
from kepipe.drift.base import Drift, NothingToTell, Windows, compare_means


def compare(windows: Windows) -> Drift:
    """Of each document the share of its tokens; before: of documents that the tokenizer was not trained on."""
    from kepipe.tokenization.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(windows.model)
    unknown = tokenizer.backend.token_to_id(tokenizer.named.get("unk", "[UNK]"))
    if unknown is None:
        raise NothingToTell("the tokenizer knows every text")

    def shares(documents: Sequence[Document]) -> Floats:
        encoded = tokenizer.encode([document.text for document in documents])
        pieces = np.split(encoded.tokens == unknown, np.cumsum(encoded.lengths)[:-1])
        return np.array([piece.mean() if len(piece) else np.nan for piece in pieces], np.float64)

    return compare_means(shares(windows.unseen), shares(windows.new), windows.rng(2))
