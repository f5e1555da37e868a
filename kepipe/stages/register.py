"""Stage `register`: offers a model to the registry, with the scores for its promotion gate.

The offer is a file and an event; while the registry is unreachable, it stays in the run's journal.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from pydantic import Field

from kepipe.config import ConfigConflict, Section, suggest
from kepipe.flow.artifact import Artifact
from kepipe.flow.stage import Planned, Stage, StageContext
from kepipe.stages.artifacts import Evaluation, FineTuned, Model, Registration
from kepipe.stages.evaluate import NO_PROBE, supports_no_probe
from kepipe.stages.scored import ModelScores, scores_of
from kepipe.studies.design import better_by_name
from kepipe.studies.figures import refusal
from kepipe.tracking.card import CardSettings
from kepipe.tracking.gate import Gate

OFFER = "offer.json"


@dataclass(frozen=True)
class RegisterInputs:
    """The model, and an evaluation of it; a fine-tuned model has its own scores."""

    model: Model
    evaluation: Evaluation | None = None


class RegisterConfig(Section):
    """Name of the registered model, and the promotion gate."""

    name: str = Field("kepipe", pattern=r"^[\w][\w. -]*$")
    """Name of the registered model; each run that makes a different model adds a version."""
    gate: Gate = Gate()
    """The new version becomes champion if its metric is better than the champion's, or if it meets the conditions."""
    card: CardSettings = CardSettings()
    """Entries of the model card: licences, intended use, limits, contact."""


def register(inputs: RegisterInputs, config: RegisterConfig, context: StageContext) -> None:
    """Write `offer.json` and make the offer. Raises ValueError if the gate's metric is not in the scores."""
    from kepipe.tracking.costs import measure
    from kepipe.tracking.predictors import predictor_of

    predictor = predictor_of(
        inputs.model.folder
    )  # raises for a damaged model, before anything is measured or stored
    scores = scores_of(inputs.model, inputs.evaluation)
    gate, metrics = _resolved(config.gate, scores), scores.main()
    assert gate.metric is not None
    values = scores.all()
    if gate.metric not in values:
        known = suggest(gate.metric, list(values)) or f"; there are {', '.join(sorted(metrics))}"
        raise ValueError(f"gate: `{inputs.model.name}` has no score {gate.metric}{known}")
    metrics[gate.metric] = values[gate.metric]
    metrics |= _condition_metrics(gate, values, inputs.model.name)
    metrics |= measure(inputs.model.folder, gate.costs())
    offer = {
        "name": config.name, "model": inputs.model.digest, "gate": gate.plain(), "metrics": metrics,
    }  # fmt: skip
    (context.out / OFFER).write_text(json.dumps(offer, indent=1, sort_keys=True) + "\n")
    if predictor is None:
        context.warn(
            f"`{inputs.model.name}` neither fills masks, generates text nor has a task: MLflow stores it, but "
            "cannot serve it"
        )
    _offer(inputs, config, gate, scores.data, context, metrics, again=False)
    context.log({gate.metric: metrics[gate.metric]})


def _condition_metrics(gate: Gate, values: Mapping[str, float], model: str) -> dict[str, float]:
    """The metrics that the gate's conditions use. Raises ValueError for a missing one."""
    found: dict[str, float] = {}
    for pattern in (name for each in gate.conditions for name in each.metrics()):
        matching = {name: value for name, value in values.items() if fnmatchcase(name, pattern)}
        if not matching:
            raise ValueError(f"gate: `{model}` has no score {pattern}{suggest(pattern, list(values))}")
        found |= matching
    return found


def _resolved(gate: Gate, scores: ModelScores) -> Gate:
    """The gate with its defaults filled in from the scores."""
    if gate.metric is not None:
        return gate.model_copy(update={"better": gate.better or better_by_name(gate.metric)})
    metric, better = scores.deciding
    return gate.model_copy(update={"metric": metric, "better": gate.better or better})


def offer_again(inputs: RegisterInputs, config: RegisterConfig, context: StageContext) -> None:
    """Repeat the offer of an earlier run, so that a model that was deleted from the registry is registered again."""
    offer = json.loads((context.out / OFFER).read_text(encoding="utf-8"))
    scores = scores_of(inputs.model, inputs.evaluation)
    _offer(inputs, config, Gate(**offer["gate"]), scores.data, context, offer["metrics"], again=True)


def _offer(
    inputs: RegisterInputs,
    config: RegisterConfig,
    gate: Gate,
    data: str,
    context: StageContext,
    metrics: Mapping[str, float],
    *,
    again: bool,
) -> None:
    source = inputs.evaluation or inputs.model
    context.offer_model(
        name=config.name,
        folder=str(inputs.model.folder),
        digest=inputs.model.digest,
        metrics=metrics,
        gate={**gate.plain(), "evaluation": str(source.folder), "data": data},
        tags={"kepipe.arm": inputs.model.name, **config.card.tags()},
        again=again,
    )


def conflicts(stage: Planned) -> Iterator[ConfigConflict]:
    """A gate with an unknown metric, or with a metric name in the wrong form."""
    gate, source = stage.config.gate, stage.input("evaluation") or stage.input("model")
    model = stage.input("model")
    if model is not None and stage.input("evaluation") is not None and supports_no_probe(model):
        yield ConfigConflict(
            "inputs.model", f"{model.name}: {NO_PROBE}; register what `finetune` makes of it"
        )
    named = [("gate.metric", gate.metric)] if gate.metric is not None else []
    named += [
        (f"gate.conditions.{number}.metric", name)
        for number, condition in enumerate(gate.conditions)
        for name in condition.metrics()
    ]
    for place, metric in named:
        if "/" not in metric:
            new = metric.replace(".", "/", 1) if "." in metric else f"{metric}/…"
            yield ConfigConflict(place, f"expected `probe/metric` or `split/metric`: write `{new}`")
        elif source is not None and (why := refusal(source.name, metric, source.figures)):
            yield ConfigConflict(place, why)


def _needs(_config: RegisterConfig, given: Mapping[str, type[Artifact]]) -> tuple[str, ...]:
    return () if issubclass(given.get("model", Model), FineTuned) else ("evaluation",)


REGISTER = Stage(
    "register",
    2,
    RegisterInputs,
    RegisterConfig,
    Registration,
    register,
    conflicts=conflicts,
    needs=_needs,
    on_cached=offer_again,
)
