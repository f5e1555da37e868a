"""Checks of a pipeline's data before it runs."""

from __future__ import annotations

from collections.abc import Iterator

from kepipe.flow.plan import Flow
from kepipe.pipeline.conflicts import planned


def inspect(flow: Flow) -> Iterator[str]:
    """Warnings, prefixed with the stage's name; each once, even for several copies in a study."""
    seen: set[str] = set()
    for node, stage in planned(flow.nodes):
        for warning in node.stage.inspect(stage):
            line = f"{node.labels.get('stage', node.name)}: {warning}"
            if line not in seen:
                seen.add(line)
                yield line
