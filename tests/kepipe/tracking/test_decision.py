"""Decisions of a gate with conditions, in a real registry: promotion, reasons, approval, rollback."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow.artifacts
import pytest

from kepipe.config import ConfigError
from kepipe.studies.intervals import Estimate
from kepipe.tracking.archive import archive
from kepipe.tracking.card import CardSettings, card
from kepipe.tracking.comparison import compare
from kepipe.tracking.conditions.base import PairedEvaluation
from kepipe.tracking.registry import approve, champions, events, offer, promote, rollback, versions
from kepipe.tracking.store import Store
from kepipe.tracking.version_lookup import find
from tests.support.journals import offered

MRR = "entity_cloze/mrr"
CONDITIONS = [{"condition": "better"}, {"condition": "no-worse", "by": 0.05, "data": "old"}]


class Offers:
    """Offers models with given paired differences from the champion, by evaluation."""

    def __init__(self, store: Store, name: str, folder: Path) -> None:
        self.store, self.name, self.folder = store, name, folder
        experiment = store.experiment("decisions")
        self.run = store.client.create_run(experiment).info.run_id
        self.source = SimpleNamespace(
            experiment=experiment, run_id=lambda stage: self.run, maker_id=lambda digest: None
        )
        self.differences: dict[str, tuple[float, float, float]] = {}
        self.asked: list[tuple[str, str, str]] = []

    def __call__(self, digest: str, value: float, *more: Any, **tags: str) -> dict[str, Any]:
        folder = self.folder / digest
        folder.mkdir(exist_ok=True)
        (folder / "model.safetensors").write_text(digest)
        conditions = [*CONDITIONS, *more]
        evaluation = str(self.folder / f"evaluation-{digest}")
        event = offered(
            self.name, folder, digest, value, f"run-{digest}", conditions=conditions, evaluation=evaluation
        )
        event.tags.update(tags)  # type: ignore[attr-defined]
        outcome = offer(self.store, event, self.source, self.evaluate_pair)
        assert outcome is not None
        return outcome

    def evaluate_pair(
        self, champion: Path, offered: Path | None, evaluation: Path
    ) -> PairedEvaluation | None:
        assert offered is not None
        self.asked.append((champion.name, offered.name, evaluation.name))
        if evaluation.name not in self.differences:
            return None
        value, low, high = self.differences[evaluation.name]
        return PairedEvaluation({MRR: 0.4}, {MRR: Estimate(value, low, high, 100, 20)})

    def tags(self, version: int) -> dict[str, str]:
        return dict(find(self.store, f"{self.name}/{version}").tags)

    def aliases(self) -> dict[str, int]:
        held = self.store.client.get_registered_model(self.name).aliases
        return {alias: int(version) for alias, version in held.items()}


@pytest.fixture
def offers(store: Store, fresh: str, tmp_path: Path) -> Offers:
    return Offers(store, f"decided-{fresh}", tmp_path)


def test_gate_promotes_better_and_refuses_worse_or_forgetting_models(offers: Offers) -> None:
    assert offers("one", 0.4)["champion"]
    offers.differences = {"evaluation-two": (0.1, 0.05, 0.15), "evaluation-one": (0.0, -0.02, 0.02)}
    assert offers("two", 0.5)["champion"]
    assert offers.asked == [("one", "two", "evaluation-two"), ("one", "two", "evaluation-one")]
    offers.differences = {"evaluation-worse": (-0.1, -0.2, 0.0), "evaluation-two": (-0.01, -0.02, 0.0)}
    refused = offers("worse", 0.4)
    assert not refused["champion"]
    assert refused["why"].startswith("entity_cloze/mrr is worse by 0.1")
    offers.differences = {"evaluation-forgot": (0.1, 0.05, 0.15), "evaluation-two": (-0.3, -0.4, -0.2)}
    forgot = offers("forgot", 0.6)
    assert not forgot["champion"]
    assert "entity_cloze/mrr on old data is worse by 0.3" in forgot["why"]
    assert offers.aliases() == {"champion": 2, "challenger": 4}
    assert [row[:2] for row in json.loads(offers.tags(4)["kepipe.gate.conditions"])] == [
        ["better", "met"], ["no-worse", "not met"],
    ]  # fmt: skip
    assert offers.tags(4)["kepipe.gate.basis"] == "both evaluated on the same questions"


def test_gate_refuses_a_model_that_cannot_be_compared(offers: Offers) -> None:
    offers("one", 0.4)
    refused = offers("two", 0.9)
    assert not refused["champion"]
    assert "its evaluation is no longer in the store" in refused["why"]


def test_decision_is_stored_on_version_run_and_page(offers: Offers) -> None:
    offers("one", 0.4, {"condition": "at-least", "value": 0.9, "metric": "<b>|x/mrr"})
    version = offers.store.client.get_model_version(offers.name, "1")
    run = offers.store.client.get_run(offers.run)
    for words in (version.description, run.data.tags["mlflow.note.content"]):
        assert f"{offers.name} version 1: refused" in words
        assert "| better | met |" in words
        assert "<b>" not in words
    page = Path(mlflow.artifacts.download_artifacts(run_id=offers.run, artifact_path="gate.html")).read_text()
    assert "refused" in page
    assert "&lt;b&gt;" in page
    assert "<b>|x" not in page


def test_gate_with_approval_waits_for_a_person(offers: Offers) -> None:
    waits = offers("one", 0.4, "approval")
    assert not waits["champion"]
    assert "waits for approval" in waits["why"]
    assert offers.aliases() == {"challenger": 1}
    approve(offers.store, offers.name, 1, "ada")
    assert offers.aliases() == {"challenger": 1, "champion": 1}
    assert offers.tags(1)["kepipe.gate.approved"] == "ada"
    with pytest.raises(ConfigError, match=r"version 1 does not wait for approval \(waiting: none\)"):
        approve(offers.store, offers.name, 1, "ada")
    offers("one", 0.4, "approval")  # delivered again: nothing changes
    assert offers.aliases()["champion"] == 1
    assert [what for _, what, _ in events(offers.store, offers.name)] == ["approved by ada:"]


def test_approval_is_rejected_if_the_champion_changed(offers: Offers) -> None:
    offers("one", 0.4)
    won = {"evaluation-one": (0.0, -0.01, 0.01)}
    offers.differences = {"evaluation-two": (0.1, 0.05, 0.15), **won}
    offers("two", 0.5, "approval")
    offers.differences = {"evaluation-three": (0.1, 0.05, 0.15), **won}
    assert offers("three", 0.6)["champion"]
    with pytest.raises(ConfigError, match="compared with champion 1, and the champion has changed since"):
        approve(offers.store, offers.name, 2, "ada")
    assert offers.aliases()["champion"] == 3
    with pytest.raises(ConfigError, match=r"version 3 does not wait for approval \(waiting: 2\)"):
        approve(offers.store, offers.name, 3, "ada")


def test_archive_keeps_records_aliases_and_rollback_targets(offers: Offers) -> None:
    store, name = offers.store, offers.name
    for number in range(1, 5):
        offers.differences = {
            f"evaluation-m{number}": (0.1, 0.05, 0.15), f"evaluation-m{number - 1}": (0.0, -0.01, 0.01),
        }  # fmt: skip
        offers(f"m{number}", 0.4 + number / 100)
    assert champions(store, name) == [1, 2, 3, 4]
    promote(store, name, 2)  # champion: 2; before it: 4
    told = archive(store, name, keep=1, dry_run=True)
    assert told.archived == (3, 1)
    assert told.kept == {4: "challenger", 2: "champion"}
    source = store.client.get_model_version(name, "3").source
    location = store.client.get_logged_model(source.removeprefix("models:/")).artifact_location
    there = Path(location.removeprefix("file://"))
    assert list(there.rglob("*.safetensors"))
    assert archive(store, name, keep=1).archived == (3, 1)
    assert not list(there.rglob("*.safetensors"))
    assert archive(store, name, keep=1).archived == ()
    assert float(offers.tags(3)["metric.entity_cloze/mrr"]) == pytest.approx(0.43)
    with pytest.raises(ConfigError, match="version 3 is archived and has no files; there are: 4, 2"):
        promote(store, name, 3)
    assert (rollback(store, name), rollback(store, name)) == (4, 2)
    with pytest.raises(ConfigError, match="there is no previous champion"):
        rollback(store, name)
    again = offers("m3", 0.43)
    assert again["version"] == 5  # its files were removed: it becomes a new version


def test_versions_are_named_by_number_or_alias(offers: Offers) -> None:
    offers("one", 0.4)
    name = offers.name
    for named in (name, f"{name}@champion", f"{name}/1", f"models:/{name}/1"):
        assert find(offers.store, named).version == 1
    with pytest.raises(ConfigError, match=r"no such version \(available: 1\)"):
        find(offers.store, f"{name}/7")
    with pytest.raises(ConfigError, match=r"no such version .*@"):
        find(offers.store, f"{name}@best")
    with pytest.raises(ConfigError, match="expected NAME, NAME@ALIAS"):
        find(offers.store, f"{name}/x/1")


def test_versions_are_compared_as_registered_and_re_evaluated(offers: Offers) -> None:
    offers("one", 0.4)
    offers("two", 0.9)
    first, second = (find(offers.store, f"{offers.name}/{number}") for number in (1, 2))
    plain = compare(first, second)
    rows = {row.metric: row for row in plain.rows}
    assert (rows[MRR].first, rows[MRR].second, rows[MRR].difference) == (0.4, 0.9, None)
    assert rows["entity_cloze/hits@1"].first == 0.2
    assert "the values are not comparable" in plain.basis
    offers.differences = {"evaluation-two": (0.1, 0.05, 0.15)}
    again = compare(first, second, offers.evaluate_pair)
    assert offers.asked[-1] == ("two", "one", "evaluation-two")
    rows = {row.metric: row for row in again.rows}
    assert (rows[MRR].first, rows[MRR].second) == (0.5, 0.4)
    assert rows[MRR].difference == Estimate(0.1, 0.05, 0.15, 100, 20)
    assert again.basis == "both evaluated on the questions of version 2"


def test_model_card_has_stated_and_measured_parts(offers: Offers) -> None:
    stated = CardSettings(license="Apache-2.0", intended_use="Filling <gaps>.\nNot for diagnosis.")
    (offers.folder / "one").mkdir()
    (offers.folder / "one" / "kepipe.json").write_text('{"stage": "pretrain", "steps": 60}')
    offers("one", 0.4, **stated.tags())
    (version,) = versions(offers.store.client, offers.name)
    text = card(version)
    for part in (
        f"# {offers.name}, version 1", "It is challenger and champion.", "## Licence\n\nApache-2.0",
        "Filling &lt;gaps>. Not for diagnosis.", "| entity_cloze/mrr | 0.4 |", "promoted: every condition is met",
        '"steps": 60', "Licences of the data: not stated",
    ):  # fmt: skip
        assert part in text, part
