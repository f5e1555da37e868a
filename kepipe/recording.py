"""Collecting what is read or named while a block runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


@contextmanager
def recording(into: ContextVar[dict[K, V] | None]) -> Iterator[dict[K, V]]:
    """Set the variable to an empty mapping during the block, and give this mapping."""
    found: dict[K, V] = {}
    token = into.set(found)
    try:
        yield found
    finally:
        into.reset(token)
