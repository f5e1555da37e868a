"""`loss`: the model's masked-language-modelling loss per document; the reference are documents held out from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kepipe.arrays import Floats
from kepipe.data.document import Document
from kepipe.drift.base import Drift, NotMeasurable, Windows, compare_means

if TYPE_CHECKING:
    from kepipe.models.protocols import MaskedLanguageModel

LENGTH = 128
"""Tokens per row, special tokens included; only the first row of a document is used."""
SHARE = 0.15
"""Share of the tokens that are masked (Devlin et al. 2019, §3.1)."""


def compare(windows: Windows) -> Drift:
    """The value of a document is the mean cross-entropy at its masked tokens, in nats. Raises NotMeasurable if the
    model is not a masked language model."""
    from kepipe.inference.opening import open_model

    model = open_model(windows.model).masked_language_model
    if model is None:
        raise NotMeasurable("the model is not a masked language model")
    return compare_means(
        _losses(model, windows.unseen, windows.rng(3)),
        _losses(model, windows.new, windows.rng(4)),
        windows.rng(5),
    )


def _losses(model: MaskedLanguageModel, documents: Sequence[Document], rng: np.random.Generator) -> Floats:
    """Mean cross-entropy at the masked tokens of each document, in nats: float [N], nan for a document without
    tokens."""
    from kepipe.probes.blanks import Blanks, losses_at_blanks

    tokenizer = model.tokenizer
    encoded = tokenizer.encode([document.text for document in documents])
    pieces = np.split(encoded.tokens, np.cumsum(encoded.lengths)[:-1])
    tokens_NT = np.full((len(pieces), LENGTH), tokenizer.pad, np.int64)
    places: list[int] = []
    for row, piece in enumerate(pieces):
        kept = piece[: LENGTH - 2]
        tokens_NT[row, : len(kept) + 2] = [tokenizer.cls, *kept, tokenizer.sep]
        if len(kept):
            blanks = max(1, round(SHARE * len(kept)))
            places += sorted(row * LENGTH + 1 + rng.permutation(len(kept))[:blanks])
    at = np.array(places, np.int64)
    blanks_all = Blanks(tokens_NT, tokens_NT != tokenizer.pad, np.arange(len(pieces)), {"tokens": at}, {})
    losses = losses_at_blanks(model, tokenizer, blanks_all)["tokens"]
    counts_N = np.bincount(at // LENGTH, minlength=len(pieces))
    sums_N = np.bincount(at // LENGTH, losses, minlength=len(pieces))
    with np.errstate(invalid="ignore"):
        means_N: Floats = np.where(counts_N > 0, sums_N / np.maximum(counts_N, 1), np.nan)
    return means_N
