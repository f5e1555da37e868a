"""`when-changed`: fires where what a pipeline reads has other content, and has come to rest.

Content counts, by its digest: a file that was touched or copied fires nothing. Two looks have to see the same, so that
a file that is still being written does not fire.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from kepipe.flow.triggers.base import Kept, Look, Sight, Trigger, every

if TYPE_CHECKING:
    from apscheduler.triggers.base import BaseTrigger

NAMED = 3
"""Changed files that a reason names; the others it counts."""


class WhenChanged(Trigger):
    """When texts, graph, base model or the pipeline's file have changed."""

    kind: Literal["when-changed"] = "when-changed"
    every: float = Field(30.0, ge=1)
    """Seconds between looks."""

    @property
    def said(self) -> str:
        return "when changed"

    def timetable(self) -> BaseTrigger:
        return every(self.every)

    def look(self, sight: Sight) -> Look:
        now = sight.digests()
        fired: Mapping[str, str] = sight.kept.get("fired", {})
        if now == fired:
            return Look(keep={"fired": fired})
        if now != sight.kept.get("seen"):
            return Look(keep={"fired": fired, "seen": now}, soon=True)
        return Look(told(fired, now), sight.kept, done={"fired": now})

    def fired_by_hand(self, sight: Sight) -> Kept:
        return {"fired": sight.digests()}


def told(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What differs, in words: `1 new: corpus/io.txt; 1 changed: graph/triples.tsv`."""
    if not before:
        return "never fired before"
    groups = {
        "new": sorted(now.keys() - before.keys()),
        "changed": sorted(name for name in now.keys() & before.keys() if now[name] != before[name]),
        "gone": sorted(before.keys() - now.keys()),
    }
    parts = []
    for kind, names in groups.items():
        if names:
            more = ", …" if len(names) > NAMED else ""
            parts.append(f"{len(names)} {kind}: {', '.join(names[:NAMED])}{more}")
    return "; ".join(parts)
