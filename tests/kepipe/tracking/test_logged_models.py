"""Models of stages in MLflow's Models tab, with the metrics of the stages that evaluated them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from kepipe.flow.artifact import seal
from kepipe.flow.events import Dataset, Event, Metrics, RunEnded, StageEnded, StageStarted
from kepipe.tracking.cursor import Cursor
from kepipe.tracking.registry import versions
from kepipe.tracking.store import Store
from tests.support import journals
from tests.support.deliveries import deliver, runs
from tests.support.failing_client import FailingClient, KilledError

DIGEST = "digest-r1"
"""Of the model that `events` tells of."""


def model_folder(folder: Path) -> Path:
    (journals.artifact(folder) / "kepipe.json").write_text("{}")
    return folder


def events(pipeline: str, folder: Path) -> Iterator[Event]:
    """A run that trains a model, `train`, and evaluates it."""
    *trained, ended = journals.run(pipeline, "r1", folder / "model")
    yield from trained
    about: dict[str, Any] = {"run": "r1", "stage": "evaluate"}
    yield StageStarted(
        **about, at=ended.at, kind="evaluate", key="k2", config={"context": 48}, inputs={"arms": DIGEST},
        upstream={}, resumed=False,
    )  # fmt: skip
    yield Dataset(**about, at=ended.at, name="held out", digest="h" * 64, profile={})
    values = {"train/cloze/hits@1": 0.25, "other/cloze/hits@1": 0.75, "seconds": 2.0}
    yield Metrics(**about, at=ended.at, values=values)
    yield StageEnded(
        **about, at=ended.at, status="finished", seconds=1.0, folder=str(folder / "scores"), digest="digest-s"
    )
    assert isinstance(ended, RunEnded)
    yield ended


def prepared(folder: Path) -> Path:
    """The folders of both stages."""
    model_folder(folder / "model")
    (folder / "scores").mkdir()
    (folder / "scores" / "scores.json").write_text("{}")
    seal(folder / "scores", {"stage": "evaluate", "inputs": {"arms": [["train", DIGEST]]}}, "r1")
    return folder


def logged(store: Store, pipeline: str) -> list[Any]:
    experiment = store.client.get_experiment_by_name(pipeline)
    return list(store.client.search_logged_models([experiment.experiment_id]))


def metrics(model: Any) -> set[tuple[str, float, str, str]]:
    return {(m.key, m.value, m.dataset_name, m.dataset_digest) for m in model.metrics or ()}


MEASURED = {
    ("loss", 0.125, "shards", "d" * 36),
    ("evaluate/cloze/hits_at_1", 0.25, "held out", "h" * 36),
}


def test_logged_model_has_settings_and_metrics_with_datasets(
    store: Store, fresh: str, tmp_path: Path
) -> None:
    journal = journals.write(tmp_path / "r1.jsonl", list(events(fresh, prepared(tmp_path / "made"))))
    assert deliver(journal, store).refused == []
    (model,) = logged(store, fresh)
    made_by = runs(store, fresh)["train"]
    assert (model.name, str(model.status), model.source_run_id) == ("train", "READY", made_by.info.run_id)
    assert model.params == {"steps": "5", "base.size": "tiny"}
    assert metrics(model) == MEASURED
    assert made_by.data.metrics["evaluate/cloze/hits_at_1"] == 0.25


def test_model_that_is_made_again_keeps_one_value_per_metric(
    store: Store, fresh: str, tmp_path: Path
) -> None:
    first = [*journals.run(fresh, "r1", model_folder(tmp_path / "r1"))]
    deliver(journals.write(tmp_path / "r1.jsonl", first), store)
    (model,) = logged(store, fresh)
    once = store.client.get_metric_history(model.source_run_id, "loss")
    again = [
        replace(event, at=event.at + 3600, **({"digest": DIGEST} if isinstance(event, StageEnded) else {}))
        for event in journals.run(fresh, "r2", model_folder(tmp_path / "r2"))
    ]
    assert deliver(journals.write(tmp_path / "r2.jsonl", again), store).refused == []
    (model,) = logged(store, fresh)
    assert metrics(model) == {("loss", 0.125, "shards", "d" * 36)}
    history = store.client.get_metric_history(model.source_run_id, "loss")
    assert sorted((m.step, m.value, m.timestamp) for m in history) == sorted(
        (m.step, m.value, m.timestamp) for m in once
    )


def test_interrupted_delivery_logs_each_model_once(store: Store, fresh: str, tmp_path: Path) -> None:
    folder = prepared(tmp_path / "made")
    for cut in range(12, 100):  # earlier calls make the runs
        pipeline = f"{fresh}-{cut}"
        journal = journals.write(tmp_path / str(cut) / "r1.jsonl", list(events(pipeline, folder)))
        try:
            client = FailingClient(store.client, cut, before=False)
            deliver(journal, Store(store.uri, client, store.artifacts, store.scratch))  # type: ignore[arg-type]
        except KilledError:
            assert not Cursor.load(journal, store.uri).done
            deliver(journal, store)
        else:
            break
        (model,) = logged(store, pipeline)
        assert (str(model.status), metrics(model)) == ("READY", MEASURED), f"cut at call {cut}"
    assert cut > 25


def test_registering_stores_the_files_of_the_logged_model(store: Store, fresh: str, tmp_path: Path) -> None:
    folder = prepared(tmp_path / "made")
    *begun, ended = events(fresh, folder)
    offers = [journals.offered(f"{fresh}-{name}", folder / "model", DIGEST, 0.5, "r1") for name in "ab"]
    deliver(journals.write(tmp_path / "r1.jsonl", [*begun, *offers, ended]), store)
    models = {model.tags["kepipe.model"]: model for model in logged(store, fresh)}
    assert sorted(models) == [f"{fresh}-a", f"{fresh}-b"]  # each can be archived without the other
    assert metrics(models[f"{fresh}-a"]) == MEASURED
    for name, model in models.items():
        (version,) = versions(store.client, name)
        assert (
            store.client.get_model_version(name, str(version.version)).source == f"models:/{model.model_id}"
        )
        assert json.loads(model.tags["mlflow.modelVersions"]) == [
            {"name": name, "version": str(version.version)}
        ]
        stored = Path(model.artifact_location.removeprefix("file://"))
        assert list(stored.rglob("model.safetensors"))
