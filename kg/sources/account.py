"""Counts of what a reader imported from a source and what it skipped on purpose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

SHOWN = 6
"""Maximum number of columns, predicates or keys listed in a line of the summary."""
_COUNTED = 1000
"""Maximum number of distinct columns, predicates or keys counted separately per category: a file may use a new
predicate in every statement."""
_OTHERS = "others"


class Account:
    """Counts per category ("aliases", "literal values") and per origin (a column, a predicate, a key)."""

    def __init__(self) -> None:
        self._taken: dict[str, Counter[str]] = {}
        self._left_out: dict[str, Counter[str]] = {}

    def take(self, what: str, by: str = "", count: int = 1) -> None:
        """Count values imported as `what`. Raises ValueError for a negative count."""
        _add(self._taken, what, by, count)

    def leave(self, what: str, by: str = "", count: int = 1) -> None:
        """Count skipped values, with `what` as the reason. Raises ValueError for a negative count."""
        _add(self._left_out, what, by, count)

    @property
    def taken(self) -> dict[str, int]:
        """Category → number of imported values."""
        return _totals(self._taken)

    @property
    def left_out(self) -> dict[str, int]:
        """Reason → number of skipped values."""
        return _totals(self._left_out)

    def taken_by(self, what: str) -> dict[str, int]:
        """Column, predicate or key → number of values imported from it as `what`."""
        return dict(self._taken.get(what, {}))

    def lines(self) -> Iterator[str]:
        """A summary for the console: a line per imported category, then a line per reason for skipping."""
        for title, counts in (("taken", self._taken), ("left out", self._left_out)):
            for what, count in sorted(_totals(counts).items()):
                yield f"{title}: {what}: {count:,}{_shown(counts[what])}"


def _add(counts: dict[str, Counter[str]], what: str, by: str, count: int) -> None:
    if count < 0:
        raise ValueError(f"{' '.join((what, by)).strip()}: a negative count, {count}")
    of_this = counts.setdefault(what, Counter())
    of_this[by if by in of_this or len(of_this) < _COUNTED else _OTHERS] += count


def _totals(counts: dict[str, Counter[str]]) -> dict[str, int]:
    totals = ((what, of_this.total()) for what, of_this in counts.items())
    return {what: total for what, total in totals if total}


def _shown(of_this: Counter[str]) -> str:
    named = [(by, count) for by, count in of_this.most_common() if by and count]
    if not named:
        return ""
    shown = [f"{by[:80]} {count:,}" for by, count in named[:SHOWN]]
    if len(named) > SHOWN:
        shown.append(f"{len(named) - SHOWN:,} more {sum(count for _, count in named[SHOWN:]):,}")
    return f" ({', '.join(shown)})"
