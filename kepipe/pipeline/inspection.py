"""The data of a pipeline, looked at before any work: what may be wrong, a sentence each."""

from __future__ import annotations

from collections.abc import Iterator

from kepipe.flow.plan import Flow
from kepipe.pipeline.conflicts import planned


def inspect(flow: Flow) -> Iterator[str]:
    """Warnings with the names of the stages that they are of, each once however many copies a study makes."""
    told: set[str] = set()
    for node, stage in planned(flow.nodes):
        for warning in node.stage.inspect(stage):
            line = f"{node.labels.get('stage', node.name)}: {warning}"
            if line not in told:
                told.add(line)
                yield line
