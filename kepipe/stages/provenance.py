"""Provenance in a model folder: how the model was trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kepipe.config import cache_key_fields

if TYPE_CHECKING:
    from pydantic import BaseModel

    from kepipe.flow.artifact import Artifact
    from kepipe.flow.stage import StageContext
    from kepipe.training.train_state import TrainState


def provenance(
    stage: str, inputs: Any, config: BaseModel, context: StageContext, state: TrainState | None = None
) -> dict[str, Any]:
    """Kind of stage, settings and input digests (as in the cache key), seed, number of steps and best step (both 0
    without training). An empty input has the digest ""."""
    digests = {name: _digest(artifact) for name, artifact in vars(inputs).items()}
    return {
        "stage": stage,
        "config": cache_key_fields(config),
        "seed": context.seed,
        **digests,
        "steps": 0 if state is None else state.step,
        "best_step": 0 if state is None else state.best_step,
    }


def _digest(filled: Artifact | tuple[Artifact, ...] | None) -> str | list[str]:
    """The digest of an input, or the digests of several."""
    if isinstance(filled, tuple):
        return [artifact.digest for artifact in filled]
    return "" if filled is None else filled.digest
