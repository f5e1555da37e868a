"""What a reader took from a source and what it left out on purpose, each with a count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

SHOWN = 6
"""Columns, predicates or keys that a line names."""
_COUNTED = 1000
"""So many of a kind are counted apart; a file may use a new predicate in every statement."""
_OTHERS = "others"


class Account:
    """Counts by what a thing is ("aliases", "literal values") and by what told it (a column, a predicate, a key)."""

    def __init__(self) -> None:
        self._taken: dict[str, Counter[str]] = {}
        self._left_out: dict[str, Counter[str]] = {}

    def take(self, what: str, by: str = "", count: int = 1) -> None:
        """Count what was read as `what`. Raises ValueError for a negative count."""
        _add(self._taken, what, by, count)

    def leave(self, what: str, by: str = "", count: int = 1) -> None:
        """Count what was left out, and why. Raises ValueError for a negative count."""
        _add(self._left_out, what, by, count)

    @property
    def taken(self) -> dict[str, int]:
        """What was read → how many."""
        return _totals(self._taken)

    @property
    def left_out(self) -> dict[str, int]:
        """What was left out → how many."""
        return _totals(self._left_out)

    def taken_by(self, what: str) -> dict[str, int]:
        """By which columns, predicates or keys `what` was told → how many each."""
        return dict(self._taken.get(what, {}))

    def lines(self) -> Iterator[str]:
        """For people: a line for all that was taken as one thing, then for all that was left out for one reason."""
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
