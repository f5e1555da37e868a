"""What the registry records about a model: champions, approval, archived versions. Without a store: `test_registry.py`
has one."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, RESOURCE_DOES_NOT_EXIST

from kepipe.config import ConfigError
from kepipe.tracking import registry
from kepipe.tracking.decision import PROMOTED, WAITS, WHY
from kepipe.tracking.registry import AGAINST, ARCHIVED
from kepipe.tracking.store import RequestRejected, Store
from tests.support.journals import offered


class Page(list[Any]):
    """The only page of an answer."""

    token = None


class MemoryClient:
    """As much of MLflow's client as the registry's functions call."""

    def __init__(self) -> None:
        self.models: dict[str, SimpleNamespace] = {}
        self.model_versions: dict[str, list[SimpleNamespace]] = {}
        self.error = RESOURCE_DOES_NOT_EXIST

    def add(self, name: str, *tags: dict[str, str]) -> None:
        """A model with a version for each set of tags."""
        self.models[name] = SimpleNamespace(name=name, aliases={}, tags={})
        self.model_versions[name] = [
            SimpleNamespace(version=number, tags=each, creation_timestamp=1000 * number)
            for number, each in enumerate(tags, 1)
        ]

    def create_registered_model(self, name: str) -> None:
        self.add(name)

    def get_registered_model(self, name: str) -> SimpleNamespace:
        if name not in self.models:
            raise MlflowException("no such model", self.error)
        return self.models[name]

    def get_model_version(self, name: str, number: str) -> SimpleNamespace:
        found = [each for each in self.model_versions.get(name, ()) if str(each.version) == number]
        if not found:
            raise MlflowException("no such version", self.error)
        return found[0]

    def search_registered_models(self, **_: Any) -> Page:
        return Page(self.models.values())

    def search_model_versions(self, condition: str, **_: Any) -> Page:
        return Page(self.model_versions[condition.removeprefix("name='").removesuffix("'")])

    def set_registered_model_alias(self, name: str, alias: str, number: str) -> None:
        self.models[name].aliases[alias] = number

    def set_registered_model_tag(self, name: str, tag: str, value: str) -> None:
        self.models[name].tags[tag] = value

    def set_model_version_tag(self, name: str, number: str, tag: str, value: str) -> None:
        self.get_model_version(name, number).tags[tag] = value


@pytest.fixture
def client() -> MemoryClient:
    return MemoryClient()


@pytest.fixture
def store(client: MemoryClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(Store, "check", lambda _: None)
    return Store("http://127.0.0.1:9", client, None, tmp_path)  # type: ignore[arg-type]


def test_versions_are_listed_by_model_the_newest_first(client: MemoryClient) -> None:
    client.add("moons", {}, {"a": "b"})
    client.add("comets", {})
    client.set_registered_model_alias("moons", "champion", "1")
    client.set_registered_model_alias("moons", "challenger", "2")
    listed = registry.versions(client)  # type: ignore[arg-type]
    assert [(one.model, one.version, one.aliases, one.created, one.tags) for one in listed] == [
        ("comets", 1, (), 1.0, {}),
        ("moons", 2, ("challenger",), 2.0, {"a": "b"}),
        ("moons", 1, ("champion",), 1.0, {}),
    ]
    assert [one.version for one in registry.versions(client, "moons")] == [2, 1]  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="no model `suns` is registered; there are: comets, moons"):
        registry.versions(client, "suns")  # type: ignore[arg-type]


def test_archived_version_is_neither_promoted_nor_rolled_back_to(client: MemoryClient, store: Store) -> None:
    client.add("moons", {}, {}, {ARCHIVED: "2026-01-01"}, {})
    for version in (1, 2, 4):
        registry.promote(store, "moons", version)
    registry.promote(store, "moons", 4)
    assert registry.champions(store, "moons") == [1, 2, 4]
    with pytest.raises(ConfigError, match=r"version 3 is archived and has no files; there are: 4, 2, 1$"):
        registry.promote(store, "moons", 3)
    with pytest.raises(ConfigError, match=r"has no version 5; there are: 4, 2, 1$"):
        registry.promote(store, "moons", 5)
    client.get_model_version("moons", "2").tags[ARCHIVED] = "2026-01-02"
    assert registry.rollback(store, "moons") == 1
    assert (registry.champion_of(store, "moons"), registry.champions(store, "moons")) == (1, [1])
    with pytest.raises(ConfigError, match="there is no previous champion"):
        registry.rollback(store, "moons")
    assert [(what, version) for _, what, version in registry.events(store, "moons")] == [
        *(("promoted manually", version) for version in (1, 2, 4, 4)), ("rolled back to", 1),
    ]  # fmt: skip


def test_rollback_goes_to_the_champion_before(client: MemoryClient, store: Store) -> None:
    client.add("moons", {}, {}, {})
    for version in (1, 2, 3):
        registry.promote(store, "moons", version)
    assert (registry.rollback(store, "moons"), registry.champion_of(store, "moons")) == (2, 2)
    assert registry.events(store, "moons")[-1][1:] == ("rolled back to", 2)
    assert (registry.rollback(store, "moons"), registry.champion_of(store, "moons")) == (1, 1)


def test_newest_hundred_events_are_kept(client: MemoryClient, store: Store) -> None:
    client.add("moons", {})
    client.models["moons"].tags[registry.EVENTS] = json.dumps([[1.0, f"event {n}", 1] for n in range(100)])
    registry.promote(store, "moons", 1)
    noted = registry.events(store, "moons")
    assert (len(noted), noted[0][1], noted[-1][1]) == (100, "event 1", "promoted manually")


def test_version_is_approved_once_if_it_waits_and_the_champion_is_that_of_its_comparison(
    client: MemoryClient, store: Store
) -> None:
    waits = {WAITS: "true", AGAINST: "1", WHY: "better"}
    client.add("moons", {}, dict(waits), dict(waits), {})
    registry.promote(store, "moons", 1)
    with pytest.raises(ConfigError, match=r"version 4 does not wait for approval \(waiting: 3, 2\)"):
        registry.approve(store, "moons", 4, "ada")
    with pytest.raises(ConfigError, match=r"version 5 does not wait for approval \(waiting: 3, 2\)"):
        registry.approve(store, "moons", 5, "ada")
    registry.approve(store, "moons", 2, "ada")
    assert registry.champions(store, "moons") == [1, 2]
    tags = client.get_model_version("moons", "2").tags
    assert (tags[WHY], tags[PROMOTED], tags[WAITS]) == ("approved by ada; better", "true", "")
    assert registry.events(store, "moons")[-1][1:] == ("approved by ada:", 2)
    with pytest.raises(
        ConfigError, match="version 3 was compared with champion 1, and the champion has changed"
    ):
        registry.approve(store, "moons", 3, "ada")
    client.get_model_version("moons", "3").tags[WAITS] = ""
    with pytest.raises(ConfigError, match=r"version 3 does not wait for approval \(waiting: none\)"):
        registry.approve(store, "moons", 3, "ada")


def test_version_at_an_alias_or_a_number(client: MemoryClient, store: Store) -> None:
    client.add("moons", {}, {})
    assert registry.champion_of(store, "moons") is None
    client.set_registered_model_alias("moons", "champion", "2")
    assert registry.champion_of(store, "moons") == 2
    assert (registry.version_at(store, "moons", "1"), registry.version_at(store, "moons", "9")) == (1, None)
    assert registry.champion_of(store, "suns") is None
    client.error = INTERNAL_ERROR
    with pytest.raises(MlflowException, match="no such model"):
        registry.champion_of(store, "suns")


def test_model_whose_folder_is_gone_is_rejected(store: Store, tmp_path: Path) -> None:
    event = offered("moons", tmp_path / "gone", "digest", 0.5, "run")
    with pytest.raises(RequestRejected, match="gone was removed"):
        registry.offer(store, event, SimpleNamespace(), lambda *_: None)
