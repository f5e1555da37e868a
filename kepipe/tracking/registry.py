"""The model registry: versions of a model, and the aliases `challenger` and `champion`.

Every new version becomes challenger, and champion only if it passes the gate. The sequence of champions
is a tag of the registered model, for rollback.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kepipe.config import ConfigError
from kepipe.flow.events import ModelOffered
from kepipe.tracking.decision import PROMOTED, RUN, WAITS, WHY, EvaluatePair, decision, note, offer_tags, page
from kepipe.tracking.logged_models import REGISTERED, LoggedModels
from kepipe.tracking.store import RequestRejected, Store, paginate

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

CHAMPION, CHALLENGER = "champion", "challenger"
HISTORY = "kepipe.champions"
"""Tag of a registered model: versions of its champions as JSON, the current one last."""
AGAINST, NOBODY = "kepipe.gate.against", "nobody"
"""Tag of a version: the champion's version that it was compared with."""
ARCHIVED = "kepipe.archived"
"""Tag of a version whose files were deleted: the time of the deletion."""
EVENTS = "kepipe.events"
"""Tag of a registered model: manual changes of its champion, a JSON list of [Unix time, action, version]."""
CARRIED_OUT = "kepipe.gate.done"
"""Tag of a version: the run whose offer has been decided and applied."""


class RunLookup(Protocol):
    """MLflow ids of the run that offers a model: `kepipe.tracking.runs.Runs`."""

    @property
    def experiment(self) -> str: ...

    def run_id(self, stage: str) -> str: ...

    def maker_id(self, digest: str) -> str | None: ...


@dataclass(frozen=True)
class Version:
    """A version of a registered model."""

    model: str
    version: int
    aliases: tuple[str, ...]
    created: float
    """Unix time."""
    tags: Mapping[str, str]


def offer(
    store: Store, event: ModelOffered, source: RunLookup, evaluate_pair: EvaluatePair
) -> dict[str, Any] | None:
    """Register an offered model and apply the gate. Idempotent, and safe for several processes at once.

    A model whose digest is already registered is not stored again, but the gate is applied again. The decision is
    recorded before it is applied, so that a repetition applies the same one, unless the champion has changed since.
    Returns model, version, whether it became champion, and why; None if an offer is made `again` and the model is
    still registered.
    """
    with store.lock(event.name):
        _ensure_model(store.client, event.name)
        existing = _by_digest(store.client, event.name, event.digest)
        if existing is not None and event.again:
            return None
        return _decide(store.client, event, existing or _add(store, event, source), evaluate_pair, source)


def _decide(
    client: MlflowClient,
    event: ModelOffered,
    version: ModelVersion,
    evaluate_pair: EvaluatePair,
    source: RunLookup,
) -> dict[str, Any]:
    """Decide on a version and apply the decision. Call under the model's lock."""
    number, carried_out = str(version.version), version.tags.get(CARRIED_OUT) == event.run
    decided = version.tags if version.tags.get(RUN) == event.run else {}
    if not carried_out and decided.get(AGAINST) != _champion_number(client, event.name) != number:
        decided = {}
    if not decided:
        champion = _version_with_alias(client, event.name, CHAMPION)
        against = {AGAINST: NOBODY if champion is None else str(champion.version)}
        decided = {**offer_tags(event), **against, **decision(event, champion, number, evaluate_pair)}
        for tag, value in decided.items():
            client.set_model_version_tag(event.name, number, tag, value)
    promoted = decided[PROMOTED] == "true"
    if not carried_out:
        client.set_registered_model_alias(event.name, CHALLENGER, number)
        if promoted:
            _promote(client, event.name, number)
        _show(client, event.name, number, decided, source.run_id(event.stage))
        client.set_model_version_tag(event.name, number, CARRIED_OUT, event.run)
    return {"model": event.name, "version": int(number), "champion": promoted, "why": decided[WHY]}


def _show(client: MlflowClient, name: str, number: str, tags: Mapping[str, str], run: str) -> None:
    """Write the decision to the descriptions of the version and the offering run, and to the run's page `gate.html`."""
    description = note(name, number, tags)
    client.update_model_version(name, number, description)
    client.set_tag(run, "mlflow.note.content", description[:8000])
    client.log_text(run, page(name, number, tags), "gate.html")


def _add(store: Store, event: ModelOffered, source: RunLookup) -> ModelVersion:
    """Store the model folder as an MLflow model and register it as a version."""
    from kepipe.tracking import pyfunc

    folder = Path(event.folder)
    if not folder.is_dir():
        raise RequestRejected(f"model folder {folder} was removed")
    client = store.client
    run = source.maker_id(event.digest) or source.run_id(event.stage)
    models = LoggedModels(client, source.experiment)
    known = models.with_digest(event.digest)
    logged = next((model for model in known if model.tags.get(REGISTERED, event.name) == event.name), None)
    if logged is None:
        logged = models.create(event.digest, event.name, run)
    if REGISTERED not in logged.tags:
        with tempfile.TemporaryDirectory(dir=store.scratch) as scratch:
            target = Path(scratch) / "model"
            pyfunc.write(folder, target, logged.model_id, run)
            client.log_model_artifacts(logged.model_id, str(target))
        client.set_logged_model_tags(logged.model_id, {REGISTERED: event.name})
    version = client.create_model_version(
        event.name,
        f"models:/{logged.model_id}",
        run,
        {"kepipe.digest": event.digest},
        model_id=logged.model_id,
    )
    models.note_version(logged.model_id, event.name, str(version.version))
    return version


def versions(client: MlflowClient, name: str = "") -> list[Version]:
    """Versions of a model, or of all models, newest first. Raises ConfigError for a name that is not registered."""
    found = paginate(lambda page: client.search_registered_models(page_token=page))
    models = {model.name: model for model in found}
    if name and name not in models:
        raise ConfigError(
            f"no model `{name}` is registered; there are: {', '.join(sorted(models)) or 'none'}"
        )
    listed = []
    for model in [models[name]] if name else models.values():
        aliases = {
            alias: str(number) for alias, number in client.get_registered_model(model.name).aliases.items()
        }
        for version in _versions_of(client, model.name):
            held = tuple(sorted(a for a, number in aliases.items() if number == str(version.version)))
            created = version.creation_timestamp / 1000
            listed.append(Version(model.name, int(version.version), held, created, dict(version.tags)))
    return sorted(listed, key=lambda version: (version.model, -version.version))


def promote(store: Store, name: str, version: int) -> None:
    """Make a version champion, regardless of the gate. Raises ConfigError for an unknown or archived version."""
    with store.lock(name):
        known = {each.version: ARCHIVED in each.tags for each in versions(store.client, name)}
        if known.get(version, True):
            listed = ", ".join(str(number) for number, archived in known.items() if not archived)
            problem = (
                f": version {version} is archived and has no files"
                if version in known
                else f" has no version {version}"
            )
            raise ConfigError(f"model `{name}`{problem}; there are: {listed}")
        _promote(store.client, name, str(version))
        _note_event(store.client, name, "promoted manually", version)


def rollback(store: Store, name: str) -> int:
    """Make the previous champion champion again; returns its version.

    Raises ConfigError if there is no previous champion.
    """
    with store.lock(name):
        existing = {str(v.version) for v in versions(store.client, name) if ARCHIVED not in v.tags}
        before = [number for number in _history(store.client, name)[:-1] if number in existing]
        if not before:
            raise ConfigError(
                f"model `{name}`: there is no previous champion; `kepipe models list` shows the versions"
            )
        store.client.set_registered_model_alias(name, CHAMPION, before[-1])
        store.client.set_registered_model_tag(name, HISTORY, json.dumps(before))
        _note_event(store.client, name, "rolled back to", int(before[-1]))
        return int(before[-1])


def approve(store: Store, name: str, version: int, by: str) -> None:
    """Approve a version that waits for approval, and make it champion.

    Raises ConfigError for a version that does not wait for approval, or if the champion has changed since it was
    compared.
    """
    with store.lock(name):
        known = {each.version: each for each in versions(store.client, name)}
        if version not in known or not known[version].tags.get(WAITS):
            waiting = (
                ", ".join(str(each.version) for each in known.values() if each.tags.get(WAITS)) or "none"
            )
            raise ConfigError(
                f"model `{name}`: version {version} does not wait for approval (waiting: {waiting})"
            )
        tags = known[version].tags
        if tags.get(AGAINST) != _champion_number(store.client, name):
            raise ConfigError(
                f"model `{name}`: version {version} was compared with champion {tags.get(AGAINST)}, and the "
                "champion has changed since; offer it again (`kepipe run --force register`)"
            )
        why = f"approved by {by}; {tags.get(WHY, '')}"
        _promote(store.client, name, str(version))
        _note_event(store.client, name, f"approved by {by}:", version)
        for tag, value in {WHY: why, PROMOTED: "true", "kepipe.gate.approved": by, WAITS: ""}.items():
            store.client.set_model_version_tag(name, str(version), tag, value)


def events(store: Store, name: str) -> list[tuple[float, str, int]]:
    """Manual changes of a model's champion, in order: (Unix time, action, version). Raises ConfigError for an unknown
    name."""
    versions(store.client, name)
    return [(float(at), str(what), int(version)) for at, what, version in _events(store.client, name)]


def _events(client: MlflowClient, name: str) -> list[Any]:
    noted: list[Any] = json.loads(client.get_registered_model(name).tags.get(EVENTS, "[]"))
    return noted


def _note_event(client: MlflowClient, name: str, what: str, version: int) -> None:
    """Append an event; the newest hundred are kept."""
    noted = [*_events(client, name), [time.time(), what, version]][-100:]
    client.set_registered_model_tag(name, EVENTS, json.dumps(noted))


def champion_of(store: Store, name: str) -> int | None:
    """The champion's version; None if there is no champion or no such model."""
    return version_at(store, name, CHAMPION)


def version_at(store: Store, name: str, alias: str) -> int | None:
    """The version with an alias or a number; None if there is none or no such model."""
    from mlflow.exceptions import MlflowException

    try:
        if alias.isdecimal():
            return int(store.client.get_model_version(name, alias).version)
        number = store.client.get_registered_model(name).aliases.get(alias)
    except MlflowException as error:
        store.check()  # the store is reachable, so the model does not exist
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    return None if number is None else int(number)


def champions(store: Store, name: str) -> list[int]:
    """The versions that were champion, in order, the current one last. Raises ConfigError for an unknown name."""
    versions(store.client, name)
    return [int(number) for number in _history(store.client, name)]


def _promote(client: MlflowClient, name: str, number: str) -> None:
    """Set history, then alias: after a kill in between, repeating the call completes it."""
    history = _history(client, name)
    if history[-1:] != [number]:
        client.set_registered_model_tag(name, HISTORY, json.dumps([*history, number]))
    client.set_registered_model_alias(name, CHAMPION, number)


def _history(client: MlflowClient, name: str) -> list[str]:
    history: list[str] = json.loads(client.get_registered_model(name).tags.get(HISTORY, "[]"))
    return history


def _ensure_model(client: MlflowClient, name: str) -> None:
    from mlflow.exceptions import MlflowException

    with suppress(MlflowException):  # it exists already; any other error shows in the next request
        client.create_registered_model(name)


def _by_digest(client: MlflowClient, name: str, digest: str) -> ModelVersion | None:
    of_digest = (v for v in _versions_of(client, name) if v.tags.get("kepipe.digest") == digest)
    return next((version for version in of_digest if ARCHIVED not in version.tags), None)


def _versions_of(client: MlflowClient, name: str) -> Iterator[ModelVersion]:
    return paginate(lambda page: client.search_model_versions(f"name='{name}'", page_token=page))


def _champion_number(client: MlflowClient, name: str) -> str:
    return str(client.get_registered_model(name).aliases.get(CHAMPION, NOBODY))


def _version_with_alias(client: MlflowClient, name: str, alias: str) -> ModelVersion | None:
    number = client.get_registered_model(name).aliases.get(alias)
    return client.get_model_version(name, str(number)) if number is not None else None
