"""What a pipeline reads from outside the store: the user's files, by name, with their digests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from kepipe import pipeline as pipelines
from kepipe.flow.triggers.base import pipeline_file_only


def sources(pipeline: Path, overrides: Sequence[str]) -> Mapping[str, str]:
    """Name → digest of everything that the stages of a pipeline read, and of its file."""
    flow, _ = pipelines.load(pipeline, overrides)
    found = dict(pipeline_file_only(pipeline, overrides))
    for node in flow.nodes:
        for name, digest in node.stage.fingerprint(node.config).items():
            place = name if "/" in name else f"{node.name}/{name}"
            if found.get(place, digest) != digest:  # two stages read different files of this name
                place = f"{node.name}/{place}"
            found[place] = digest
    return found
