"""A study in MLflow: a run per arm and seed below the pipeline's run, with its stages below that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kepipe.flow.events import Event, Metrics, Noted, RunEnded, RunStarted, StageEnded, StageStarted
from kepipe.tracking.store import Store
from tests.support.deliveries import deliver, runs
from tests.support.journals import BEGIN, write

FINAL = {"test/f1": 0.5, "seconds": 1.0}


def study(pipeline: str, folder: Path, ends: bool) -> Iterator[Event]:
    clock = iter(range(100))

    def stamp(stage: str = "") -> dict[str, Any]:
        return {"run": f"{pipeline}-run", "stage": stage, "at": BEGIN + next(clock)}

    yield RunStarted(**stamp(), pipeline=pipeline, config={}, tags={"seed": "0"})
    for name, labels in {
        "link": {},
        "pretrain.on.1": {"stage": "pretrain", "arm": "on", "seed": "1"},
        "finetune.on.1": {"stage": "finetune", "arm": "on", "seed": "1"},
        "pretrain.off.1": {"stage": "pretrain", "arm": "off", "seed": "1"},
    }.items():
        told = {"kind": name.split(".")[0], "key": name, "config": {}, "inputs": {}, "upstream": {}}
        yield StageStarted(**stamp(name), **told, resumed=False, labels=labels)
        yield Metrics(**stamp(name), values={"loss": 2.5}, step=1)
        yield Metrics(**stamp(name), values={"test/f1": 0.5})
        yield StageEnded(**stamp(name), status="finished", seconds=1.0, folder=str(folder), digest=name)
    if ends:
        yield RunEnded(**stamp(), status="finished", seconds=9.0)


def cut_short(pipeline: str, folder: Path, status: str) -> list[Event]:
    """The same run, in which `pretrain.off.1` fails; its first event lists the planned stages."""
    begun, *events = study(pipeline, folder, ends=False)
    assert isinstance(begun, RunStarted)
    on, off = ({"arm": arm, "seed": "1"} for arm in ("on", "off"))
    labels = {
        "pretrain.on.1": on, "finetune.on.1": on, "pretrain.off.1": off, "finetune.off.1": off,
    }  # fmt: skip
    *others, last = events
    assert isinstance(last, StageEnded)
    return [
        replace(begun, labels=labels),
        *others,
        replace(last, status="failed", folder="", error="no"),
        RunEnded(run=begun.run, stage="", at=BEGIN + 99, status=status, seconds=9.0),
    ]


def test_run_is_named_by_pipeline_and_described_by_the_verdict(
    store: Store, fresh: str, tmp_path: Path
) -> None:
    begun, *_, end = study(fresh, tmp_path, ends=True)
    told = {"kind": "study", "key": "k", "config": {}, "inputs": {}, "upstream": {}}
    stage = {"run": begun.run, "stage": "study", "at": BEGIN + 20}
    events = [
        begun,
        StageStarted(**stage, **told, resumed=False),
        Noted(**stage, level="info", message="on − off: +0.1"),
        Noted(**stage, level="info", message="A gain is shown."),
        Noted(**stage, level="warning", message="a bit short"),
        StageEnded(**stage, status="finished", seconds=1.0),
        end,
    ]
    deliver(write(tmp_path / "tracking" / "r1.jsonl", events), store)
    run = runs(store, fresh)[f"{fresh}-run"]
    assert run.info.run_name == f"{fresh}, {fresh}-run"
    assert run.data.tags["mlflow.note.content"] == "A gain is shown."


@pytest.mark.parametrize("status", ["failed", "killed"])
def test_finished_arm_stays_finished_if_another_fails(
    store: Store, fresh: str, tmp_path: Path, status: str
) -> None:
    deliver(write(tmp_path / "tracking" / "r1.jsonl", cut_short(fresh, tmp_path, status)), store)
    found = {name: run.info.status for name, run in runs(store, fresh).items()}
    assert found["on, seed 1"] == "FINISHED"
    assert found["off, seed 1"] == found[f"{fresh}-run"] == status.upper()


@pytest.mark.parametrize(("ends", "status"), [(True, "FINISHED"), (False, "KILLED")])
def test_study_stages_are_nested_below_arm_and_seed(
    store: Store, fresh: str, tmp_path: Path, ends: bool, status: str
) -> None:
    deliver(write(tmp_path / "tracking" / "r1.jsonl", list(study(fresh, tmp_path, ends))), store)
    found = runs(store, fresh)
    assert set(found) == {
        f"{fresh}-run", "link", "on, seed 1", "off, seed 1", "pretrain.on.1", "finetune.on.1", "pretrain.off.1"
    }  # fmt: skip
    names = {run.info.run_id: name for name, run in found.items()}
    parents = {
        name: names.get(run.data.tags.get("mlflow.parentRunId", ""), "") for name, run in found.items()
    }
    assert parents[f"{fresh}-run"] == ""
    assert parents["link"] == parents["on, seed 1"] == parents["off, seed 1"] == f"{fresh}-run"
    assert parents["pretrain.on.1"] == parents["finetune.on.1"] == "on, seed 1"
    tags = found["finetune.on.1"].data.tags
    assert (tags["kepipe.arm"], tags["kepipe.seed"]) == ("on", "1")
    assert found["on, seed 1"].data.tags["kepipe.arm"] == "on"
    assert found["finetune.on.1"].data.metrics == {"loss": 2.5, **FINAL}
    above = {f"{stage}/{name}": value for stage in ("pretrain", "finetune") for name, value in FINAL.items()}
    assert found["on, seed 1"].data.metrics == above
    assert found[f"{fresh}-run"].data.metrics == {f"link/{name}": value for name, value in FINAL.items()}
    assert {found[name].info.status for name in (f"{fresh}-run", "on, seed 1", "off, seed 1")} == {status}
