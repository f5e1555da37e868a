"""Upstream results of a model, as far as they are still in its workspace's store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kepipe.flow.lineage import StageResult, by_digest, nearest_ancestor
from kepipe.flow.plan import Workspace

if TYPE_CHECKING:
    from kepipe.flow.artifact import Artifact
    from kepipe.stages.artifacts import Model


def workspace_of(artifact: Artifact) -> Workspace:
    """The workspace of an artifact in <workspace>/store/done/<key>."""
    return Workspace(artifact.folder.parents[2])


def made_of(model: Model, slot: str, kind: str) -> StageResult | None:
    """The nearest upstream result of a kind of stage, through input `slot` of a model; None if it is unknown or no
    longer in the store."""
    from kepipe.models.folder import read_provenance

    digest = read_provenance(model.folder).get(slot)
    return nearest_ancestor(str(digest), kind, by_digest(workspace_of(model))) if digest else None
