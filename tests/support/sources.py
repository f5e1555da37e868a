"""The result of reading a graph's source."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from kg.sources.account import Account
from kg.store import Graph


class Reading(NamedTuple):
    """The result of reading a source."""

    graph: Graph
    problems: list[str]
    account: Account
    bytes_reported: int

    @property
    def left_out(self) -> dict[str, int]:
        """Reason → number of skipped values."""
        return self.account.left_out

    def facts(self) -> set[tuple[str, str, str]]:
        """All triples by id."""
        ids, graph = self.graph.ids, self.graph
        return {(ids[h], graph.relation(r).id, ids[t]) for h, r, t in graph.triples().tolist()}


Read = Callable[..., Reading]
