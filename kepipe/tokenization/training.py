"""Training a tokenizer on a corpus."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kepipe.tokenization.table import KINDS, KindName

if TYPE_CHECKING:
    from kepipe.tokenization.tokenizer import Tokenizer


def train_tokenizer(texts: Iterable[str], kind: KindName, size: int, lowercase: bool = True) -> Tokenizer:
    """Train a tokenizer of `size` entries, including special tokens and T5's sentinels. `texts` may be iterated twice.

    Deterministic, except for "unigram", whose trainer in `tokenizers` breaks ties in an order that differs between
    processes. Raises ValueError if there is no text or the size is too small.
    """
    return KINDS[kind].train(texts, size, lowercase)
