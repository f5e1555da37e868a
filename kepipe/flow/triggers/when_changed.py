"""`when-changed`: fires when the content of a pipeline's sources has changed and is stable.

Content is compared by digest: a file that was only touched or copied does not fire. Two checks in a row must see the
same content, so that a file that is still being written does not fire.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from kepipe.flow.triggers.base import CheckResult, Trigger, TriggerContext, TriggerState, interval_trigger

if TYPE_CHECKING:
    from apscheduler.triggers.base import BaseTrigger

MAX_NAMED = 3
"""Changed files that a reason names; the rest are counted."""


class WhenChanged(Trigger):
    """Fires when texts, graph, base model or the pipeline's file have changed."""

    kind: Literal["when-changed"] = "when-changed"
    every: float = Field(30.0, ge=1)
    """Seconds between checks."""

    @property
    def label(self) -> str:
        return "when changed"

    def timetable(self) -> BaseTrigger:
        return interval_trigger(self.every)

    def check(self, context: TriggerContext) -> CheckResult:
        now = context.digests()
        fired: Mapping[str, str] = context.state.get("fired", {})
        if now == fired:
            return CheckResult(state={"fired": fired})
        if now != context.state.get("seen"):
            return CheckResult(state={"fired": fired, "seen": now}, recheck_soon=True)
        return CheckResult(describe_changes(fired, now), context.state, state_after_run={"fired": now})

    def state_after_manual_run(self, context: TriggerContext) -> TriggerState:
        return {"fired": context.digests()}


def describe_changes(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """The difference in words: `1 new: corpus/io.txt; 1 changed: graph/triples.tsv`."""
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
            more = ", …" if len(names) > MAX_NAMED else ""
            parts.append(f"{len(names)} {kind}: {', '.join(names[:MAX_NAMED])}{more}")
    return "; ".join(parts)
