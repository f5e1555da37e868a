"""Track which keys of records, and columns of tables, a reader uses, and which it ignores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from kg.sources.account import Account

KEYS = "keys and columns"
"""Their name in an account."""
V = TypeVar("V")


class WatchedRecord(dict[str, V]):
    """A record that remembers which of its keys were accessed."""

    def __init__(self, record: Mapping[str, V]) -> None:
        super().__init__(record)
        self.asked: set[str] = set()

    def __getitem__(self, key: str) -> V:
        self.asked.add(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self.asked.add(str(key))
        return super().__contains__(key)

    def get(self, key: str, default: Any = None) -> Any:
        """The value, or `default`; the key counts as accessed."""
        self.asked.add(key)
        return super().get(key, default)


def watched(
    numbered: Iterable[tuple[int, Mapping[str, V]]], account: Account
) -> Iterator[tuple[int, WatchedRecord[V]]]:
    """The records with their numbers; the accessed keys of each are added to the account when the next one is
    requested."""
    for number, record in numbered:
        watching = WatchedRecord(record)
        yield number, watching
        for key in record:
            (account.take if key in watching.asked else account.leave)(KEYS, key)
