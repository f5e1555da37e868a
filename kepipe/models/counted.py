"""`base:` of families that are fitted outside the training loop: n-grams and word vectors."""

from __future__ import annotations

from kepipe.models.fresh_base import FreshBase


class CountedBase(FreshBase):
    """Settings of a family of `kepipe.models.counted_families`."""
