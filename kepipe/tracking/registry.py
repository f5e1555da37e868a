"""The model registry: versions of a model, and the aliases `challenger` and `champion`.

Every new version becomes challenger; it becomes champion only if it passes the gate. Which versions were
champion, in order, stands in a tag of the registered model, so that one can go back.
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
from kepipe.tracking.decision import PROMOTED, RUN, WAITS, WHY, AskAgain, decision, note, offer_tags, page
from kepipe.tracking.logged_models import REGISTERED, LoggedModels
from kepipe.tracking.store import RefusedError, Store, every

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

CHAMPION, CHALLENGER = "champion", "challenger"
HISTORY = "kepipe.champions"
"""Tag of a registered model: its champions' versions, the present one last, as JSON."""
AGAINST, NOBODY = "kepipe.gate.against", "nobody"
"""Tag of a version: the number of the champion against which it was judged."""
ARCHIVED = "kepipe.archived"
"""Tag of a version whose files were deleted: since when."""
EVENTS = "kepipe.events"
"""Tag of a registered model: what people did to its champion, as JSON: [Unix time, what, version] each."""
CARRIED_OUT = "kepipe.gate.done"
"""Tag of a version: the run whose offer has been decided and the decision carried out."""


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


def offer(store: Store, event: ModelOffered, source: Source, rematch: AskAgain) -> dict[str, Any] | None:
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
        return _judge(store.client, event, there or _add(store, event, source), rematch, source)


def _judge(
    client: MlflowClient, event: ModelOffered, version: ModelVersion, rematch: AskAgain, source: Source
) -> dict[str, Any]:
    """Decide on a version and carry the decision out. Call under the model's lock."""
    number, carried_out = str(version.version), version.tags.get(CARRIED_OUT) == event.run
    decided = version.tags if version.tags.get(RUN) == event.run else {}
    if not carried_out and decided.get(AGAINST) != _champion_number(client, event.name) != number:
        decided = {}
    if not decided:
        champion = _holder(client, event.name, CHAMPION)
        against = {AGAINST: NOBODY if champion is None else str(champion.version)}
        decided = {**offer_tags(event), **against, **decision(event, champion, number, rematch)}
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
    """Put the decision where people look: at the version, at the run that offered it, and on a page there."""
    words = note(name, number, tags)
    client.update_model_version(name, number, words)
    client.set_tag(run, "mlflow.note.content", words[:8000])
    client.log_text(run, page(name, number, tags), "gate.html")


def _add(store: Store, event: ModelOffered, source: Source) -> ModelVersion:
    """Store the model folder as an MLflow model, and make it a version."""
    from kepipe.tracking import pyfunc

    folder = Path(event.folder)
    if not folder.is_dir():
        raise RefusedError(f"model folder {folder} is gone")
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
    return client.create_model_version(
        event.name,
        f"models:/{logged.model_id}",
        run,
        {"kepipe.digest": event.digest},
        model_id=logged.model_id,
    )


def versions(client: MlflowClient, name: str = "") -> list[Version]:
    """Versions of a model, or of all models, newest first. Raises ConfigError for a name that is not registered."""
    found = every(lambda page: client.search_registered_models(page_token=page))
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
    """Make a version champion, whatever the gate said. Raises ConfigError for a version that is not there."""
    with store.lock(name):
        known = {each.version: ARCHIVED in each.tags for each in versions(store.client, name)}
        if known.get(version, True):
            listed = ", ".join(str(number) for number, archived in known.items() if not archived)
            gone = (
                f": version {version} is archived, without files"
                if version in known
                else f" has no version {version}"
            )
            raise ConfigError(f"model `{name}`{gone}; there are: {listed}")
        _promote(store.client, name, str(version))
        _note_event(store.client, name, "promoted by hand", version)


def rollback(store: Store, name: str) -> int:
    """Give the title back to the version that held it before; returns its number.

    Raises ConfigError where no version held it before.
    """
    with store.lock(name):
        there = {str(v.version) for v in versions(store.client, name) if ARCHIVED not in v.tags}
        before = [number for number in _history(store.client, name)[:-1] if number in there]
        if not before:
            raise ConfigError(
                f"model `{name}`: no version was champion before; `kepipe models list` shows them"
            )
        store.client.set_registered_model_alias(name, CHAMPION, before[-1])
        store.client.set_registered_model_tag(name, HISTORY, json.dumps(before))
        _note_event(store.client, name, "rolled back to", int(before[-1]))
        return int(before[-1])


def approve(store: Store, name: str, version: int, by: str) -> None:
    """Say yes to a version that waits for it, and make it champion.

    Raises ConfigError for a version that does not wait, or where another model has become champion since.
    """
    with store.lock(name):
        known = {each.version: each for each in versions(store.client, name)}
        if version not in known or not known[version].tags.get(WAITS):
            waiting = (
                ", ".join(str(each.version) for each in known.values() if each.tags.get(WAITS)) or "none"
            )
            raise ConfigError(f"model `{name}`: version {version} waits for no approval (waiting: {waiting})")
        tags = known[version].tags
        if tags.get(AGAINST) != _champion_number(store.client, name):
            raise ConfigError(
                f"model `{name}`: version {version} was compared with champion {tags.get(AGAINST)}, and another "
                "model has become champion since; offer it again (`kepipe run --force register`)"
            )
        why = f"approved by {by}; {tags.get(WHY, '')}"
        _promote(store.client, name, str(version))
        _note_event(store.client, name, f"approved by {by}:", version)
        for tag, value in {WHY: why, PROMOTED: "true", "kepipe.gate.approved": by, WAITS: ""}.items():
            store.client.set_model_version_tag(name, str(version), tag, value)


def events(store: Store, name: str) -> list[tuple[float, str, int]]:
    """What people did to a model's champion, in order: Unix time, what, version. Raises ConfigError for an unknown
    name."""
    versions(store.client, name)
    return [(float(at), str(what), int(version)) for at, what, version in _events(store.client, name)]


def _events(client: MlflowClient, name: str) -> list[Any]:
    noted: list[Any] = json.loads(client.get_registered_model(name).tags.get(EVENTS, "[]"))
    return noted


def _note_event(client: MlflowClient, name: str, what: str, version: int) -> None:
    """The newest hundred are kept."""
    noted = [*_events(client, name), [time.time(), what, version]][-100:]
    client.set_registered_model_tag(name, EVENTS, json.dumps(noted))


def champion_of(store: Store, name: str) -> int | None:
    """The version that is champion; None where there is none, or no model of this name."""
    return version_at(store, name, CHAMPION)


def version_at(store: Store, name: str, alias: str) -> int | None:
    """The version that holds an alias, or has a number; None where there is none, or no model of this name."""
    from mlflow.exceptions import MlflowException

    try:
        if alias.isdecimal():
            return int(store.client.get_model_version(name, alias).version)
        number = store.client.get_registered_model(name).aliases.get(alias)
    except MlflowException as error:
        store.check()  # it answers: there is no such model
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    return None if number is None else int(number)


def champions(store: Store, name: str) -> list[int]:
    """The versions that were champion, in order, the present one last. Raises ConfigError for an unknown name."""
    versions(store.client, name)
    return [int(number) for number in _history(store.client, name)]


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
    of_digest = (v for v in _versions_of(client, name) if v.tags.get("kepipe.digest") == digest)
    return next((version for version in of_digest if ARCHIVED not in version.tags), None)


def _versions_of(client: MlflowClient, name: str) -> Iterator[ModelVersion]:
    return every(lambda page: client.search_model_versions(f"name='{name}'", page_token=page))


def _champion_number(client: MlflowClient, name: str) -> str:
    return str(client.get_registered_model(name).aliases.get(CHAMPION, NOBODY))


def _holder(client: MlflowClient, name: str, alias: str) -> ModelVersion | None:
    number = client.get_registered_model(name).aliases.get(alias)
    return client.get_model_version(name, str(number)) if number is not None else None
