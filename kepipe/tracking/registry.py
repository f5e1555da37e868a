"""The model registry: versions of a model, and the aliases `challenger` and `champion`.

Every new version becomes challenger; it becomes champion only if it passes the gate. Which versions were
champion, in order, stands in a tag of the registered model, so that one can go back.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kepipe.config import ConfigError
from kepipe.flow.events import ModelOffered
from kepipe.tracking.gate import Gate, Verdict, check
from kepipe.tracking.names import allowed
from kepipe.tracking.store import RefusedError, Store

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

CHAMPION, CHALLENGER = "champion", "challenger"
HISTORY = "kepipe.champions"
"""Tag of a registered model: its champions' versions, the present one last, as JSON."""
AGAINST, NOBODY = "kepipe.gate.against", "nobody"
"""Tag of a version: the number of the champion against which it was judged."""
CARRIED_OUT = "kepipe.gate.done"
"""Tag of a version: the run whose offer has been decided and the decision carried out."""
ChampionScore = Callable[[Path, Path, str], float | None]
"""(model folder, folder of the present evaluation, metric) → the model's value on the present data, or None."""


class Source(Protocol):
    """Where an offer comes from: `kepipe.tracking.runs.Runs`."""

    @property
    def experiment(self) -> str: ...

    def run_id(self, stage: str) -> str: ...

    def maker_id(self, digest: str) -> str | None: ...


@dataclass(frozen=True)
class Version:
    """A version of a registered model, as `kepipe models list` shows it."""

    model: str
    version: int
    aliases: tuple[str, ...]
    created: float
    """Unix time."""
    tags: Mapping[str, str]


def offer(
    store: Store, event: ModelOffered, source: Source, champion_score: ChampionScore
) -> dict[str, Any] | None:
    """Register an offered model and let the gate decide; safe to repeat, and by several processes at once.

    A model with the digest of a version that is there already is not stored again, but judged again. The
    decision is noted before it is carried out, so that a repetition carries out the same one, unless another model has
    become champion since.
    Returns model, version, whether it became champion, and why; None for an offer that is made `again` of a model that
    is there.
    """
    with store.lock(event.name):
        _ensure_model(store.client, event.name)
        there = _by_digest(store.client, event.name, event.digest)
        if there is not None and event.again:
            return None
        return _judge(store.client, event, there or _add(store, event, source), champion_score)


def _judge(
    client: MlflowClient, event: ModelOffered, version: ModelVersion, champion_score: ChampionScore
) -> dict[str, Any]:
    """Decide on a version and carry the decision out. Call under the model's lock."""
    number, carried_out = str(version.version), version.tags.get(CARRIED_OUT) == event.run
    decided = version.tags if version.tags.get("kepipe.gate.run") == event.run else {}
    if not carried_out and decided.get(AGAINST) != _champion_number(client, event.name) != number:
        decided = {}
    if not decided:
        decided = _decide(client, event, number, champion_score)
        for tag, value in {**_offer_tags(event), **decided}.items():
            client.set_model_version_tag(event.name, number, tag, value)
    promoted = decided["kepipe.gate.promoted"] == "true"
    if not carried_out:
        client.set_registered_model_alias(event.name, CHALLENGER, number)
        if promoted:
            _promote(client, event.name, number)
        client.set_model_version_tag(event.name, number, CARRIED_OUT, event.run)
    return {
        "model": event.name,
        "version": int(number),
        "champion": promoted,
        "why": decided["kepipe.gate.why"],
    }


def _decide(
    client: MlflowClient, event: ModelOffered, number: str, champion_score: ChampionScore
) -> dict[str, str]:
    """The gate's decision as tags. `kepipe.gate.run` comes last: it says that the decision stands."""
    gate = Gate(**{name: value for name, value in event.gate.items() if name in Gate.model_fields})
    champion = _holder(client, event.name, CHAMPION)
    tags = {"kepipe.gate.metric": gate.metric, "kepipe.gate.basis": "no champion before"}
    tags[AGAINST] = _champion_number(client, event.name)
    if champion is None:
        verdict = check(gate, event.metrics.get(gate.metric), None, holds=False)
    elif str(champion.version) == number:
        verdict = Verdict(True, "it is the champion already")
    else:
        value, tags["kepipe.gate.basis"] = _champion_value(champion, event, gate.metric, champion_score)
        verdict = check(gate, event.metrics.get(gate.metric), value, holds=True)
    promoted = str(verdict.promote).lower()
    return {
        **tags,
        "kepipe.gate.why": verdict.why,
        "kepipe.gate.promoted": promoted,
        "kepipe.gate.run": event.run,
    }


def _champion_value(
    champion: ModelVersion, event: ModelOffered, metric: str, champion_score: ChampionScore
) -> tuple[float | None, str]:
    """The champion's value of the gate's metric, and on what it was measured."""
    evaluation = str(event.gate.get("evaluation", ""))
    stored = champion.tags.get(_metric_tag(metric))
    if stored and evaluation == champion.tags.get("kepipe.evaluation"):
        return float(stored), "measured on the same data"
    value = None
    if evaluation and (folder := _folder_of(champion, Path(evaluation).parent)).is_dir():
        value = champion_score(folder, Path(evaluation), metric)
    if value is not None:
        return value, "measured again on the present data"
    return (float(stored) if stored else None), "the value of its own registration; it was not measured again"


def _folder_of(champion: ModelVersion, done: Path) -> Path:
    """The champion's model folder: where it was offered, or else of the same name in `done`, the store of the present
    evaluation, should the workspace have been moved in between."""
    folder = Path(champion.tags["kepipe.folder"])
    return folder if folder.is_dir() else done / folder.name


def _add(store: Store, event: ModelOffered, source: Source) -> ModelVersion:
    """Store the model folder as an MLflow model, and make it a version."""
    from kepipe.tracking import pyfunc

    folder = Path(event.folder)
    if not folder.is_dir():
        raise RefusedError(f"model folder {folder} is gone")
    client, experiment = store.client, source.experiment
    run = source.maker_id(event.digest) or source.run_id(event.stage)
    query = f"tags.`kepipe.digest` = '{event.digest}' and tags.`kepipe.model` = '{event.name}'"
    logged = next(iter(client.search_logged_models([experiment], query)), None)
    if logged is None:
        tags = {"kepipe.digest": event.digest, "kepipe.model": event.name}
        logged = client.create_logged_model(experiment, event.name, run, tags, model_type="kepipe")
    if str(logged.status) != "READY":
        with tempfile.TemporaryDirectory(dir=store.scratch) as scratch:
            target = Path(scratch) / "model"
            pyfunc.write(folder, target, logged.model_id, run)
            client.log_model_artifacts(logged.model_id, str(target))
        client.finalize_logged_model(logged.model_id, "READY")
    return client.create_model_version(
        event.name,
        f"models:/{logged.model_id}",
        run,
        {"kepipe.digest": event.digest},
        model_id=logged.model_id,
    )


def _offer_tags(event: ModelOffered) -> dict[str, str]:
    tags = {"kepipe.run": event.run, "kepipe.digest": event.digest, "kepipe.folder": event.folder}
    tags["kepipe.evaluation"] = str(event.gate.get("evaluation", ""))
    tags |= {_metric_tag(name): repr(value) for name, value in event.metrics.items()}
    return tags | {allowed(name): value for name, value in event.tags.items()}


def _metric_tag(metric: str) -> str:
    return allowed(f"metric.{metric}")


def versions(client: MlflowClient, name: str = "") -> list[Version]:
    """Versions of a model, or of all models, newest first. Raises ConfigError for a name that is not registered."""
    models = {model.name: model for model in client.search_registered_models()}
    if name and name not in models:
        raise ConfigError(
            f"no model `{name}` is registered; there are: {', '.join(sorted(models)) or 'none'}"
        )
    listed = []
    for model in [models[name]] if name else models.values():
        aliases = {
            alias: str(number) for alias, number in client.get_registered_model(model.name).aliases.items()
        }
        for version in client.search_model_versions(f"name='{model.name}'"):
            held = tuple(sorted(a for a, number in aliases.items() if number == str(version.version)))
            created = version.creation_timestamp / 1000
            listed.append(Version(model.name, int(version.version), held, created, dict(version.tags)))
    return sorted(listed, key=lambda version: (version.model, -version.version))


def promote(store: Store, name: str, version: int) -> None:
    """Make a version champion, whatever the gate said. Raises ConfigError for a version that is not there."""
    with store.lock(name):
        known = [each.version for each in versions(store.client, name)]
        if version not in known:
            listed = ", ".join(map(str, known))
            raise ConfigError(f"model `{name}` has no version {version}; there are: {listed}")
        _promote(store.client, name, str(version))


def rollback(store: Store, name: str) -> int:
    """Give the title back to the version that held it before; returns its number.

    Raises ConfigError where no version held it before.
    """
    with store.lock(name):
        there = {str(each.version) for each in versions(store.client, name)}
        before = [number for number in _history(store.client, name)[:-1] if number in there]
        if not before:
            raise ConfigError(
                f"model `{name}`: no version was champion before; `kepipe models list` shows them"
            )
        store.client.set_registered_model_alias(name, CHAMPION, before[-1])
        store.client.set_registered_model_tag(name, HISTORY, json.dumps(before))
        return int(before[-1])


def _promote(client: MlflowClient, name: str, number: str) -> None:
    """History first: were we cut off in between, repeating the step completes it."""
    history = _history(client, name)
    if history[-1:] != [number]:
        client.set_registered_model_tag(name, HISTORY, json.dumps([*history, number]))
    client.set_registered_model_alias(name, CHAMPION, number)


def _history(client: MlflowClient, name: str) -> list[str]:
    history: list[str] = json.loads(client.get_registered_model(name).tags.get(HISTORY, "[]"))
    return history


def _ensure_model(client: MlflowClient, name: str) -> None:
    from mlflow.exceptions import MlflowException

    with suppress(MlflowException):  # it is there; any other trouble shows in the next request
        client.create_registered_model(name)


def _by_digest(client: MlflowClient, name: str, digest: str) -> ModelVersion | None:
    candidates = client.search_model_versions(f"name='{name}'")
    return next((version for version in candidates if version.tags.get("kepipe.digest") == digest), None)


def _champion_number(client: MlflowClient, name: str) -> str:
    return str(client.get_registered_model(name).aliases.get(CHAMPION, NOBODY))


def _holder(client: MlflowClient, name: str, alias: str) -> ModelVersion | None:
    number = client.get_registered_model(name).aliases.get(alias)
    return client.get_model_version(name, str(number)) if number is not None else None
