"""`base:` of families that are fitted without the training loop: n-grams and word vectors."""

from __future__ import annotations

from kepipe.models.fresh_base import FreshBase


class FittedBase(FreshBase):
    """Settings of a family of `kepipe.models.fitted_families`."""
