"""Stage `register`: offers a model to the registry, with the scores by which its gate judges it.

The offer is a file and an event: where the registry is away, it waits in the run's journal.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from pydantic import Field

from kepipe.config import Section
from kepipe.flow.stage import Stage, Work
from kepipe.stages.artifacts import Evaluation, Model, Registration
from kepipe.tracking.gate import Gate, flatten_scores


@dataclass(frozen=True)
class RegisterInputs:
    """The model, and an evaluation in which it took part."""

    model: Model
    evaluation: Evaluation


class RegisterConfig(Section):
    """Under which name a model is registered, and what makes it champion."""

    name: str = Field("kepipe", pattern=r"^[\w][\w. -]*$")
    """Name of the registered model; each run that makes another model adds a version."""
    gate: Gate = Gate()
    """The new version becomes champion if it is better than the champion by this measure."""


def register(inputs: RegisterInputs, config: RegisterConfig, work: Work) -> None:
    """Write `offer.json` and make the offer. Raises ValueError where the evaluation lacks the gate's metric."""
    scores = inputs.evaluation.scores()
    arm = inputs.model.name
    if arm not in scores:
        raise ValueError(f"the evaluation has no scores of `{arm}`; it has those of {', '.join(scores)}")
    metrics = flatten_scores(scores[arm])
    metric = config.gate.metric
    if metric not in metrics:
        raise ValueError(
            f"gate: the evaluation of `{arm}` has no {metric}; it has {', '.join(sorted(metrics))}"
        )
    gate = config.gate.model_dump()
    offer = {"name": config.name, "model": inputs.model.digest, "gate": gate, "metrics": metrics}
    (work.out / "offer.json").write_text(json.dumps(offer, indent=1, sort_keys=True) + "\n")
    work.offer_model(
        name=config.name,
        folder=str(inputs.model.folder),
        digest=inputs.model.digest,
        metrics=metrics,
        gate={**gate, "evaluation": str(inputs.evaluation.folder)},
        tags={"kepipe.arm": arm},
    )
    work.log({metric: metrics[metric]})


REGISTER = Stage("register", 1, RegisterInputs, RegisterConfig, Registration, register)
