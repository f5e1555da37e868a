"""How good the present champion is on the data of today."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kepipe.flow.artifact import CorruptArtifact, read_manifest


def champion_score(model: Path, evaluation: Path, metric: str) -> float | None:
    """The metric of a model folder, measured as `evaluation` was: on the same inputs, with the same settings.

    None where that cannot be done: the inputs are no longer in the store, or the metric is not of a probe.
    """
    return None


def inputs_of(artifact: Path) -> dict[str, list[Path]]:
    """The folders from which a stored artifact was made, by the name of the input; raises CorruptArtifact."""
    wanted: dict[str, Any] = read_manifest(artifact)["ingredients"]["inputs"]
    by_digest = {digest: folder for folder, digest in _stored(artifact.parent)}
    found = {}
    for name, digests in wanted.items():
        several = list(digests.values()) if isinstance(digests, dict) else [digests]
        found[name] = [by_digest[digest] for digest in several if digest in by_digest]
    return found


def _stored(store: Path) -> Iterator[tuple[Path, str]]:
    for folder in sorted(store.iterdir()):
        try:
            yield folder, read_manifest(folder)["digest"]
        except CorruptArtifact:
            continue
