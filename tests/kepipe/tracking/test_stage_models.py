"""Kept checkpoints of a training in MLflow's Models tab, with their metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kepipe.files import lock
from kepipe.flow.events import (
    Dataset,
    Event,
    Metrics,
    RunEnded,
    RunStarted,
    StageEnded,
    StageStarted,
    WeightsKept,
)
from kepipe.tracking.cursor import Cursor
from kepipe.tracking.store import Store
from tests.support import journals
from tests.support.deliveries import deliver, runs
from tests.support.failing_client import FailingClient, KilledError

LOSSES = {100: 2.5, 200: 2.0, 300: 2.25, 400: 2.125}
"""Step → the held-out loss; the stage's model has the weights of step 200."""
KEPT = {100: (100,), 200: (100, 200), 300: (200, 300)}
"""Step → the steps whose checkpoints the training has, when that of this step is written."""


def training(
    pipeline: str, folder: Path, run: str = "r1", steps: tuple[int, ...] = (100, 200, 300)
) -> Iterator[Event]:
    """A training of 400 steps that keeps the last two checkpoints and ends with the best weights, from the first of
    `steps` on."""
    clock = iter(range(1000))

    def stamp(stage: str = "pretrain") -> dict[str, Any]:
        return {"run": run, "stage": stage, "at": journals.BEGIN + 100 * int(run[1:]) + next(clock)}

    yield RunStarted(**stamp(""), pipeline=pipeline, config={}, tags={})
    yield StageStarted(
        **stamp(), kind="pretrain", key="k1", config={"steps": 400}, inputs={}, upstream={}, resumed=steps[0] > 100
    )  # fmt: skip
    yield Dataset(**stamp(), name="shards/held_out", digest="h" * 64, profile={})
    for step in (*steps, 400):
        values = {"loss": 1.5, "held_out_loss": LOSSES[step]}
        yield Metrics(**stamp(), values=values, step=step)
        if step < 400:
            place = str(folder / f"step-{step}")
            yield WeightsKept(
                **stamp(), step=step, kept=KEPT[step], folder=place, measured=("held_out_loss",)
            )
    yield WeightsKept(**stamp(), step=200, measured=("held_out_loss",))
    yield Metrics(**stamp(), values={"final_held_out_loss": 2.0})
    yield StageEnded(**stamp(), status="finished", seconds=1.0, folder=str(folder), digest="digest-m")
    yield RunEnded(**stamp(""), status="finished", seconds=1.0)


def model_folder(folder: Path) -> Path:
    (journals.artifact(folder, [{"step": 100, "loss": 1.5}]) / "kepipe.json").write_text("{}")
    return folder


def by_name(store: Store, pipeline: str) -> Mapping[str, Any]:
    experiment = store.client.get_experiment_by_name(pipeline)
    found = list(store.client.search_logged_models([experiment.experiment_id]))
    assert all(str(model.status) == "READY" for model in found)
    named = {model.name: model for model in found}
    assert len(named) == len(found)
    return named


def metrics(model: Any) -> set[tuple[str, float, int, str, str]]:
    return {(m.key, m.value, m.step, m.dataset_name, m.dataset_digest) for m in model.metrics or ()}


def at(step: int) -> set[tuple[str, float, int, str, str]]:
    return {("held_out_loss", LOSSES[step], step, "shards/held_out", "h" * 36)}


def states(named: Mapping[str, Any]) -> dict[str, str]:
    return {name: model.tags.get("kepipe.checkpoint", "") for name, model in named.items()}


ENDED = {"pretrain": "", "pretrain, checkpoint-200": "final", "pretrain, checkpoint-300": "removed"}


def test_kept_checkpoint_is_a_logged_model_with_its_metrics(store: Store, fresh: str, tmp_path: Path) -> None:
    whole = list(training(fresh, model_folder(tmp_path / "made")))
    after_300 = next(
        n for n, event in enumerate(whole) if isinstance(event, WeightsKept) and event.step == 300
    )
    file = journals.write(tmp_path / "r1.jsonl", whole[: after_300 + 1])
    with lock(file.with_suffix(".lock")):
        deliver(file, store)
        named = by_name(store, fresh)
        assert states(named) == {"pretrain, checkpoint-200": "kept", "pretrain, checkpoint-300": "kept"}
        best = named["pretrain, checkpoint-200"]
        assert best.tags["kepipe.folder"] == str(tmp_path / "made" / "step-200")
    assert deliver(journals.write(file, whole), store).refused == []

    named = by_name(store, fresh)
    assert states(named) == ENDED
    best = named["pretrain, checkpoint-200"]
    assert (best.model_type, best.params) == ("checkpoint", {"steps": "400", "step": "200"})
    assert metrics(best) == at(200)
    assert metrics(named["pretrain, checkpoint-300"]) == at(300)
    assert {key for key, *_ in metrics(named["pretrain"])} == {"held_out_loss", "final_held_out_loss"}
    assert at(200) < metrics(named["pretrain"])
    run = runs(store, fresh)["pretrain"]
    assert {(output.model_id, output.step) for output in run.outputs.model_outputs} == {
        (best.model_id, 200), (named["pretrain"].model_id, 200), (named["pretrain, checkpoint-300"].model_id, 300)
    }  # fmt: skip
    curve = store.client.get_metric_history(run.info.run_id, "held_out_loss")
    assert sorted((point.step, point.value) for point in curve) == sorted(LOSSES.items())
    order = [{"field_name": "metrics.held_out_loss", "ascending": True}]
    found = store.client.search_logged_models(
        [run.info.experiment_id], "model_type = 'checkpoint'", max_results=1, order_by=order
    )
    assert [model.name for model in found] == ["pretrain, checkpoint-200"]

    file.with_suffix(".cursor").unlink()
    deliver(file, store)
    assert {name: model.model_id for name, model in by_name(store, fresh).items()} == {
        name: model.model_id for name, model in named.items()
    }, "a second delivery changes nothing"


def test_killed_and_resumed_training_logs_each_checkpoint_once(
    store: Store, fresh: str, tmp_path: Path
) -> None:
    folder = model_folder(tmp_path / "made")
    killed = [event for event in training(fresh, folder) if not isinstance(event, StageEnded | RunEnded)]
    until = next(n for n, event in enumerate(killed) if isinstance(event, WeightsKept) and event.step == 200)
    deliver(journals.write(tmp_path / "r1.jsonl", killed[: until + 1]), store)
    assert states(by_name(store, fresh)) == {
        "pretrain, checkpoint-100": "kept",
        "pretrain, checkpoint-200": "kept",
    }
    begun, *going_on = training(fresh, folder, "r2", (300,))
    restored = WeightsKept(
        run="r2", stage="pretrain", at=journals.BEGIN + 200, step=200, kept=(100, 200), folder=str(folder)
    )
    deliver(journals.write(tmp_path / "r2.jsonl", [begun, going_on[0], restored, *going_on[1:]]), store)
    named = by_name(store, fresh)
    assert states(named) == ENDED
    assert metrics(named["pretrain, checkpoint-200"]) == at(200)
    made_by = {name: model.source_run_id for name, model in named.items()}
    assert made_by["pretrain, checkpoint-200"] != made_by["pretrain, checkpoint-300"] == made_by["pretrain"]


def test_interrupted_delivery_logs_each_checkpoint_once(store: Store, fresh: str, tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "made")
    whole = [
        replace(event, kept=(event.step,)) if isinstance(event, WeightsKept) and event.folder else event
        for event in training(fresh, folder, steps=(100, 200))
    ]
    first = next(n for n, event in enumerate(whole) if isinstance(event, WeightsKept))
    counting = FailingClient(store.client, 1000, before=False)
    deliver(journals.write(tmp_path / "r1.jsonl", whole[:first]), through(counting, store))
    for cut in range(1000 - counting.calls_left, 100):
        pipeline = f"{fresh}-{cut}"
        events = [replace(whole[0], pipeline=pipeline), *whole[1:]]
        journal = journals.write(tmp_path / str(cut) / "r1.jsonl", events)
        try:
            deliver(journal, through(FailingClient(store.client, cut, before=False), store))
        except KilledError:
            assert not Cursor.load(journal, store.uri).done
            deliver(journal, store)
        else:
            break
        named = by_name(store, pipeline)
        assert states(named) == {"pretrain": "", "pretrain, checkpoint-200": "final"}, f"cut at call {cut}"
        assert metrics(named["pretrain, checkpoint-200"]) == at(200), f"cut at call {cut}"
        outputs = runs(store, pipeline)["pretrain"].outputs.model_outputs
        assert len({output.model_id for output in outputs}) == len(outputs) == 2, f"cut at call {cut}"
    assert cut > 25


def through(client: FailingClient, store: Store) -> Store:
    return Store(store.uri, client, store.artifacts, store.scratch)  # type: ignore[arg-type]
