"""Bases that the training loop does not train: what is counted in a pass of its own, and its settings under `base:`."""

from __future__ import annotations

from kepipe.models.fresh_base import FreshBase


class CountedBase(FreshBase):
    """Settings of a family of the table `kepipe.models.counted_families`."""
