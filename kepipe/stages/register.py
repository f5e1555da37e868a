"""Stage `register`: offers a model to the registry, with the scores by which its gate judges it.

The offer is a file and an event: where the registry is away, it waits in the run's journal.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from kepipe.config import Section
from kepipe.flow.artifact import CorruptArtifact, Manifest, read_manifest
from kepipe.flow.stage import Stage, StageContext
from kepipe.inference.added_knowledge import AddedKnowledge
from kepipe.stages.artifacts import Evaluation, Graph, Linked, Model, Registration, Shards
from kepipe.stages.evaluate import EvaluateConfig, held_out_documents
from kepipe.studies.scores import single_values
from kepipe.terminal import echo
from kepipe.tracking.gate import Gate

OFFER = "offer.json"


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


def register(inputs: RegisterInputs, config: RegisterConfig, context: StageContext) -> None:
    """Write `offer.json` and make the offer. Raises ValueError where the evaluation lacks the gate's metric."""
    arms, arm = inputs.evaluation.scores().arms, inputs.model.name
    if arm not in arms:
        raise ValueError(f"the evaluation has no scores of `{arm}`; it has those of {', '.join(arms)}")
    metrics = single_values(arms[arm], ".")
    metric = config.gate.metric
    if metric not in metrics:
        raise ValueError(
            f"gate: the evaluation of `{arm}` has no {metric}; it has {', '.join(sorted(metrics))}"
        )
    gate = config.gate.model_dump()
    offer = {"name": config.name, "model": inputs.model.digest, "gate": gate, "metrics": metrics}
    (context.out / OFFER).write_text(json.dumps(offer, indent=1, sort_keys=True) + "\n")
    _offer(inputs, config, context, metrics, again=False)
    context.log({metric: metrics[metric]})


def offer_again(inputs: RegisterInputs, config: RegisterConfig, context: StageContext) -> None:
    """Make the offer of a run before once more: a model that was deleted from the registry comes back."""
    metrics = json.loads((context.out / OFFER).read_text(encoding="utf-8"))["metrics"]
    _offer(inputs, config, context, metrics, again=True)


def _offer(
    inputs: RegisterInputs,
    config: RegisterConfig,
    context: StageContext,
    metrics: Mapping[str, float],
    *,
    again: bool,
) -> None:
    context.offer_model(
        name=config.name,
        folder=str(inputs.model.folder),
        digest=inputs.model.digest,
        metrics=metrics,
        gate={**config.gate.model_dump(), "evaluation": str(inputs.evaluation.folder)},
        tags={"kepipe.arm": inputs.model.name},
        again=again,
    )


def champion_score(model: Path, evaluation: Path, metric: str) -> float | None:
    """A model folder's value of the gate's metric, measured as in `evaluation`: on its inputs, with its settings.

    None where that cannot be done: an input is no longer in the store, or the model cannot answer.
    """
    from kepipe.device import resolve
    from kepipe.probes.evaluation import score_model

    try:
        parts = read_manifest(evaluation)["cache_key_inputs"]
    except CorruptArtifact:
        return None
    stored = {manifest["digest"]: folder for folder, manifest in manifests(evaluation.parent)}
    digests = {name: digest for name, digest in parts["inputs"].items() if name != "arms"}
    folders = {name: stored[digest] for name, digest in digests.items() if digest in stored}
    if folders.keys() < digests.keys() | {"linked", "candidates", "shards"}:
        return None
    linked, shards = Linked.open(folders["linked"]), Shards.open(folders["shards"])
    candidates = Graph.open(folders["candidates"])
    try:
        config = EvaluateConfig(**parts["config"])
        added = AddedKnowledge(config.knowledge, {name: folders.get(name) for name in ("graph", "vectors")})
        held_out = held_out_documents(linked, candidates, shards, config, parts["seed"])
        scores = score_model(model, held_out, config.probes, added, resolve("auto"))
    except ValueError as reason:
        echo(f"the champion {model} was not measured again: {reason}", err=True)
        return None
    return single_values(scores, ".").get(metric)


def manifests(store: Path) -> Iterator[tuple[Path, Manifest]]:
    """The sealed folders beside each other in a store, with their manifests."""
    for folder in sorted(store.iterdir()):
        try:
            yield folder, read_manifest(folder)
        except CorruptArtifact:
            continue


REGISTER = Stage("register", 1, RegisterInputs, RegisterConfig, Registration, register, repeat=offer_again)
