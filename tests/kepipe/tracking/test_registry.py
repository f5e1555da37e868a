"""Offers to a real registry, and predictions of a registered model."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow.pyfunc
import pytest
from mlflow.tracking import MlflowClient

from kepipe.config import ConfigError
from kepipe.tracking.conditions.base import PairedEvaluation
from kepipe.tracking.mask_predictor import MaskPredictor
from kepipe.tracking.registry import offer, promote, rollback, versions
from kepipe.tracking.store import Store
from tests.support.failing_client import FailingClient, KilledError
from tests.support.journals import offered
from tests.support.world import World, make_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def source(store: Store) -> Any:
    """A run that makes offers."""
    experiment = store.experiment("registry")
    run = store.client.create_run(experiment).info.run_id
    return SimpleNamespace(experiment=experiment, run_id=lambda stage: run, maker_id=lambda digest: None)


class Offers:
    """Offers models to one registered model, each from its own folder."""

    def __init__(self, store: Store, source: Any, name: str, folder: Path) -> None:
        self.store, self.source, self.name, self.folder = store, source, name, folder
        self.measured: list[tuple[str, str, str]] = []
        self.present: float | None = None

    def __call__(self, digest: str, value: float, run: str | None = None, **gate: Any) -> dict[str, Any]:
        folder = self.folder / digest
        folder.mkdir(exist_ok=True)
        (folder / "model.safetensors").write_text(digest)
        event = offered(self.name, folder, digest, value, run or f"run-{digest}", **gate)
        outcome = offer(self.store, event, self.source, self.score)
        assert outcome is not None
        return outcome

    def again(self, digest: str, value: float) -> dict[str, Any] | None:
        event = offered(self.name, self.folder / digest, digest, value, run="later")
        return offer(self.store, replace(event, again=True), self.source, self.score)

    def score(self, champion: Path, offered: Path | None, evaluation: Path) -> PairedEvaluation | None:
        self.measured.append((champion.name, offered.name if offered else "", evaluation.name))
        return None if self.present is None else PairedEvaluation({"entity_cloze/mrr": self.present})

    def aliases(self) -> dict[str, int]:
        held = self.store.client.get_registered_model(self.name).aliases
        return {alias: int(version) for alias, version in held.items()}


@pytest.fixture
def offers(store: Store, source: Any, fresh: str, tmp_path: Path) -> Offers:
    return Offers(store, source, fresh, tmp_path)


def test_first_model_is_champion_then_only_better_ones(offers: Offers) -> None:
    assert offers("one", 0.3)["champion"]
    assert offers.aliases() == {"champion": 1, "challenger": 1}
    assert not offers("two", 0.2)["champion"]
    assert offers.aliases() == {"champion": 1, "challenger": 2}
    outcome = offers("three", 0.4)
    assert (outcome["version"], outcome["champion"]) == (3, True)
    assert "0.4 is better than the champion's 0.3" in outcome["why"]
    assert offers.aliases() == {"champion": 3, "challenger": 3}


def test_champion_is_re_evaluated_on_the_current_data(offers: Offers, tmp_path: Path) -> None:
    offers("one", 0.9, evaluation=str(tmp_path / "old"))
    offers.present = 0.1
    assert offers("two", 0.2, evaluation=str(tmp_path / "new"))["champion"]
    assert offers.measured == [("one", "", "new")]
    (newest, _) = versions(offers.store.client, offers.name)
    assert newest.tags["kepipe.gate.basis"] == "champion re-evaluated on the current data"
    assert newest.tags["kepipe.gate.against"] == "1"


def test_champion_is_found_in_a_moved_workspace(offers: Offers, tmp_path: Path) -> None:
    offers.folder = tmp_path / "old" / "store" / "done"
    offers.folder.mkdir(parents=True)
    offers("one", 0.9, evaluation=str(offers.folder / "before"))
    offers.folder = (tmp_path / "old").rename(tmp_path / "new") / "store" / "done"
    offers.present = 0.1
    assert offers("two", 0.2, evaluation=str(offers.folder / "after"))["champion"]
    assert offers.measured == [("one", "", "after")]


def test_champion_measured_on_the_same_data_is_not_re_evaluated(offers: Offers, tmp_path: Path) -> None:
    for digest, value in (("one", 0.5), ("two", 0.4)):
        offers(digest, value, evaluation=str(tmp_path / "same"))
    assert offers.measured == []
    assert (
        versions(offers.store.client, offers.name)[0].tags["kepipe.gate.basis"] == "measured on the same data"
    )


def test_champion_that_cannot_be_re_evaluated_keeps_its_registered_value(
    offers: Offers, tmp_path: Path
) -> None:
    offers("one", 0.5, evaluation=str(tmp_path / "old"))
    assert not offers("two", 0.4, evaluation=str(tmp_path / "new"))["champion"]
    basis = versions(offers.store.client, offers.name)[0].tags["kepipe.gate.basis"]
    assert basis == "the champion's value at its registration; it was not re-evaluated"


def test_model_below_the_minimum_is_not_champion(offers: Offers) -> None:
    assert not offers("one", 0.1, minimum=0.2)["champion"]
    assert offers.aliases() == {"challenger": 1}


def test_equal_models_share_one_version(offers: Offers) -> None:
    offers("one", 0.3)
    assert offers("one", 0.3, run="another")["version"] == 1
    assert len(versions(offers.store.client, offers.name)) == 1


def test_repeated_old_offer_changes_no_decision(offers: Offers) -> None:
    first = offers("one", 0.3)
    offers("two", 0.4)
    assert offers("one", 0.3) == first
    assert offers.aliases() == {"champion": 2, "challenger": 2}


def test_offer_interrupted_at_any_call_and_repeated_is_promoted_once(offers: Offers) -> None:
    """A better model each time: it must become champion, with every champion once in the history. Killed after a call,
    the store is as it is before the next one."""
    real = offers.store
    for cut in range(1, 100):
        client = FailingClient(real.client, cut, before=False)
        offers.store = Store(real.uri, client, real.artifacts, real.scratch)  # type: ignore[arg-type]
        try:
            offers(f"model-{cut}", 0.5 + cut / 1000)
        except KilledError:
            offers.store = real
            assert offers(f"model-{cut}", 0.5 + cut / 1000)["champion"]
        offers.store = real
        assert offers.aliases() == {"champion": cut, "challenger": cut}
        if client.calls_left > 0:
            break
    assert cut > 15
    for earlier in range(cut - 1, 0, -1):
        assert rollback(real, offers.name) == earlier


def test_former_champion_can_be_promoted_again(offers: Offers, tmp_path: Path) -> None:
    offers("one", 0.3, evaluation=str(tmp_path / "a"))
    offers("two", 0.4, evaluation=str(tmp_path / "a"))
    offers.present = 0.2
    assert offers("one", 0.5, run="later", evaluation=str(tmp_path / "b"))["champion"]
    assert offers.aliases() == {"champion": 1, "challenger": 1}
    assert rollback(offers.store, offers.name) == 2


def test_promote_and_roll_back(offers: Offers) -> None:
    for digest, value in (("one", 0.3), ("two", 0.4), ("three", 0.2)):
        offers(digest, value)
    store, name = offers.store, offers.name
    promote(store, name, 3)
    assert offers.aliases()["champion"] == 3
    assert rollback(store, name) == 2
    assert rollback(store, name) == 1
    assert offers.aliases()["champion"] == 1
    with pytest.raises(ConfigError, match="there is no previous champion"):
        rollback(store, name)
    with pytest.raises(ConfigError, match=r"has no version 9; there are: 3, 2, 1"):
        promote(store, name, 9)
    with pytest.raises(ConfigError, match="no model `nobody`"):
        versions(store.client, "nobody")


class SmallPages(MlflowClient):
    """The real client, answered two at a time."""

    def search_registered_models(self, *args: Any, **more: Any) -> Any:
        return super().search_registered_models(*args, **{"max_results": 2, **more})

    def search_model_versions(self, *args: Any, **more: Any) -> Any:
        return super().search_model_versions(*args, **{"max_results": 2, **more})


def test_models_and_versions_beyond_the_first_page_are_listed(offers: Offers, fresh: str) -> None:
    client = SmallPages(offers.store.uri)
    others = [f"{fresh}-{letter}" for letter in "edcba"]
    for name in others:
        client.create_registered_model(name)
    for digest, value in (("one", 0.3), ("two", 0.4), ("three", 0.2)):
        offers(digest, value)
    assert [each.version for each in versions(client, offers.name)] == [3, 2, 1]
    assert {offers.name: 3} == Counter(
        each.model for each in versions(client) if each.model in (offers.name, *others)
    )
    for name in others:
        assert versions(client, name) == []
    store = replace(offers.store, client=client)
    offered_again = Offers(store, offers.source, offers.name, offers.folder)
    assert offered_again("one", 0.5)["version"] == 1  # found among all, not stored again


def test_rollback_skips_deleted_versions(offers: Offers) -> None:
    for digest, value in (("one", 0.3), ("two", 0.4), ("three", 0.5)):
        offers(digest, value)
    offers.store.client.delete_model_version(offers.name, "2")
    assert rollback(offers.store, offers.name) == 1


def test_registered_model_predicts(store: Store, source: Any, fresh: str, world: World) -> None:
    arm = world.arms[0]
    offer(store, offered(fresh, arm.folder, arm.digest, 0.5), source, lambda *_: None)
    model = mlflow.pyfunc.load_model(f"models:/{fresh}@champion")
    mask = world.tokenizer.named["mask"]
    texts = [f"The capital of France is {mask} and many people live there.", f"{mask} {mask}"]
    table = model.predict(texts, params={"top": 3})
    assert list(table.columns) == ["text", "place", "prediction", "probability"]
    assert table[["text", "place"]].values.tolist() == [[0, 0]] * 3 + [[1, 0]] * 3 + [[1, 1]] * 3
    direct = MaskPredictor.load(arm.folder).predict(texts, {"top": 3})
    assert table.equals(direct)
    alone = MaskPredictor.load(arm.folder).predict(texts[:1], {"top": world.tokenizer.vocab_size})
    assert alone["probability"].is_monotonic_decreasing
    assert alone["probability"].sum() == pytest.approx(1, abs=1e-4)
    assert table["probability"][:3].tolist() == pytest.approx(alone["probability"][:3].tolist(), rel=2e-2)
    with pytest.raises(ValueError, match="text 1 has no"):
        model.predict([texts[0], "nothing to fill"])
    stored = Path(mlflow.artifacts.download_artifacts(f"models:/{fresh}/1"))
    assert not list(stored.rglob("*.pkl"))
    assert [file.name for file in stored.rglob("*.safetensors")] == ["model.safetensors"]


PROGRAM = """
import sys
from pathlib import Path
from types import SimpleNamespace
from kepipe.tracking.registry import offer
from kepipe.tracking.store import connect
from tests.support.journals import offered
workspace, name, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
store = connect(workspace)
experiment = store.attempt(lambda: store.experiment("at once"))
run = store.attempt(lambda: store.client.create_run(experiment)).info.run_id
source = SimpleNamespace(experiment=experiment, run_id=lambda stage: run, maker_id=lambda digest: None)
folder = workspace / f"model-{number}"
folder.mkdir(exist_ok=True)
(folder / "config.json").write_text("{}")
print("ready", flush=True)
sys.stdin.readline()
for turn in range(4):
    event = offered(f"{name}-{turn}", folder, f"digest-{number}", number / 10, run=f"run-{turn}-{number}")
    store.attempt(lambda: offer(store, event, source, lambda *_: None))
"""


def test_better_of_two_concurrent_offers_becomes_champion(store: Store, fresh: str, space: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(space), fresh]
    offering = [
        subprocess.Popen([*command, str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for number in (1, 2)
    ]
    for process in offering:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in offering:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.close()
    assert [process.wait() for process in offering] == [0, 0]
    for turn in range(4):
        first, second = versions(store.client, f"{fresh}-{turn}")
        champion = next(version for version in (first, second) if "champion" in version.aliases)
        assert champion.tags["kepipe.digest"] == "digest-2"


def test_decision_is_repeated_if_the_champion_changed_meanwhile(
    offers: Offers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between decision and promotion, repeated after a better model came."""
    offers("one", 0.3)
    with monkeypatch.context() as cut:
        cut.setattr("kepipe.tracking.registry._promote", lambda *_: (_ for _ in ()).throw(KilledError))
        with pytest.raises(KilledError):
            offers("two", 0.4)
    assert offers("three", 0.5)["champion"]
    assert not offers("two", 0.4)["champion"]
    assert offers.aliases()["champion"] == 3


def test_deleted_registered_model_is_registered_again(
    offers: Offers,
) -> None:
    offers("one", 0.3)
    offers("two", 0.2)
    before = {version.version: dict(version.tags) for version in versions(offers.store.client, offers.name)}
    assert offers.again("one", 0.3) is None
    after = {version.version: dict(version.tags) for version in versions(offers.store.client, offers.name)}
    assert after == before
    assert offers.aliases() == {"champion": 1, "challenger": 2}
    offers.store.client.delete_registered_model(offers.name)
    outcome = offers.again("one", 0.3)
    assert outcome is not None
    assert (outcome["version"], outcome["champion"]) == (1, True)
