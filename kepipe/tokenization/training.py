"""Training a tokenizer on a corpus."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kepipe.tokenization.table import KINDS, KindName

if TYPE_CHECKING:
    from kepipe.tokenization.tokenizer import Tokenizer


def train_tokenizer(texts: Iterable[str], kind: KindName, size: int, lowercase: bool = True) -> Tokenizer:
    """Train a tokenizer of `size` entries, special tokens and T5's sentinels among them. `texts` may be read twice.

    The same texts give the same tokenizer, but for "unigram": the trainer of `tokenizers` breaks ties by
    an order that changes from process to process. Raises ValueError for no text or too small a size.
    """
    return KINDS[kind].train(texts, size, lowercase)
