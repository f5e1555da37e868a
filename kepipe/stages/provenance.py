"""What a model folder says of how it was trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kepipe.config import cache_key_fields

if TYPE_CHECKING:
    from pydantic import BaseModel

    from kepipe.flow.stage import StageContext
    from kepipe.training.train_state import TrainState


def provenance(
    stage: str, inputs: Any, config: BaseModel, context: StageContext, state: TrainState
) -> dict[str, Any]:
    """The kind of stage, the settings and digests of inputs that its key is made of, the seed, and the steps: how many
    there were, and after which the weights were taken. An input that there was not has the digest ""."""
    digests = {name: "" if artifact is None else artifact.digest for name, artifact in vars(inputs).items()}
    return {
        "stage": stage,
        "config": cache_key_fields(config),
        "seed": context.seed,
        **digests,
        "steps": state.step,
        "best_step": state.best_step,
    }
