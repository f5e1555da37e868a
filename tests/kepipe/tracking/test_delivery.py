"""Delivery of journals to MLflow: each run once, however often delivery is interrupted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pytest

from kepipe.flow.events import Event, Metrics, StageCached
from kepipe.flow.journal import Entry, Journal
from kepipe.tracking.cursor import Cursor, claim, pending
from kepipe.tracking.delivery import Delivery, batches, deliver_pending
from kepipe.tracking.registry import versions
from kepipe.tracking.store import Store, StoreUnavailable, connect
from tests.support import journals
from tests.support.deliveries import deliver, no_score, runs
from tests.support.failing_client import FailingClient, KilledError
from tests.support.journals import artifact, offered, write


def state(store: Store, pipeline: str) -> dict[str, Any]:
    """Everything in a store about a pipeline, without MLflow's random ids."""
    told = {}
    for name, run in runs(store, pipeline).items():
        tags = {key: value for key, value in run.data.tags.items() if key != "mlflow.parentRunId"}
        history = {
            key: [
                (m.step, m.timestamp, m.value) for m in store.client.get_metric_history(run.info.run_id, key)
            ]
            for key in run.data.metrics
        }
        files = sorted(file.path for file in store.client.list_artifacts(run.info.run_id))
        data = [(each.dataset.name, each.dataset.digest) for each in run.inputs.dataset_inputs]
        told[name] = (
            run.info.status,
            run.info.start_time,
            run.info.end_time,
            run.data.params,
            tags,
            history,
            files,
            data,
        )
    return told


def test_offer_of_a_cached_stage_delivered_before_its_maker_ends_all_runs(
    space: Path, store: Store, fresh: str, tmp_path: Path
) -> None:
    """Of two concurrent runs, the one that made the model may be delivered later."""
    begun, *_, ended = journals.run(fresh, "r2", tmp_path)
    cached = StageCached(run="r2", stage="train", at=begun.at, key="k1", folder="f", digest="d", maker="r1")
    offer = replace(offered(fresh, artifact(tmp_path / "model"), "d", 0.5, "r2"), again=True, at=begun.at)
    cursor = deliver(write(tmp_path / "r2.jsonl", [begun, cached, offer, ended]), store)
    assert (cursor.done, cursor.refused) == (True, [])
    found = runs(store, fresh)
    assert {name: run.info.status for name, run in found.items()} == {"r2": "FINISHED"}
    (version,) = versions(store.client, fresh)
    assert store.client.get_model_version(fresh, str(version.version)).run_id == found["r2"].info.run_id
    deliver(write(tmp_path / "r1.jsonl", list(journals.run(fresh, "r1", tmp_path / "model"))), store)
    assert {run.info.status for run in runs(store, fresh).values()} == {"FINISHED"}


def test_journal_of_a_run_becomes_mlflow_runs(space: Path, store: Store, fresh: str, tmp_path: Path) -> None:
    folder = artifact(tmp_path / "made")
    cursor = deliver(write(tmp_path / "r1.jsonl", list(journals.run(fresh, "r1", folder))), store)
    assert (cursor.done, cursor.refused) == (True, [])
    found = runs(store, fresh)
    parent, child = found["r1"], found["train"]
    assert parent.data.params == {"seed": "7", "stages.train.steps": "5"}
    assert parent.data.tags["kepipe.cached.graph"] == "earlier"
    assert parent.data.tags["kepipe.git.commit"] == "abc123+changes"
    assert (parent.info.status, parent.info.start_time) == ("FINISHED", int(journals.BEGIN * 1000))
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert child.data.params == {"steps": "5", "base.size": "tiny"}
    assert child.data.tags["kepipe.upstream.shards"] == "earlier"
    assert child.data.tags["kepipe.digest"] == "digest-r1"
    assert child.data.metrics == {"loss": 0.125, "hits_at_10": 0.4, "seconds": 3.5}
    curve = store.client.get_metric_history(child.info.run_id, "loss")
    assert [(m.step, m.value) for m in curve] == [*[(s, 1 / (s + 1)) for s in range(5)], (4, 0.125)]
    assert curve[1].timestamp == int((journals.BEGIN + 5) * 1000)
    (data,) = child.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.profile) == ("shards", '{"tokens": 1000}')
    files = {file.path for file in store.client.list_artifacts(child.info.run_id)}
    assert files == {"report.html", "scores.json", "pictures"}
    assert [file.path for file in store.client.list_artifacts(parent.info.run_id)] == ["notes.txt"]


@pytest.mark.parametrize("before", [True, False])
def test_delivery_interrupted_at_any_call_continues_without_duplicates(
    store: Store, fresh: str, tmp_path: Path, before: bool
) -> None:
    folder = artifact(tmp_path / "made")
    write(tmp_path / "whole" / "r.jsonl", list(journals.run(fresh, "r", folder)))
    deliver(tmp_path / "whole" / "r.jsonl", store)
    whole = state(store, fresh)
    for cut in range(1, 100):
        pipeline = f"{fresh}-{before}-{cut}"
        journal = write(tmp_path / str(cut) / "r.jsonl", list(journals.run(pipeline, "r", folder)))
        client = FailingClient(store.client, cut, before)
        try:
            deliver(journal, Store(store.uri, client, store.artifacts, store.scratch))  # type: ignore[arg-type]
        except KilledError:
            assert not Cursor.load(journal, store.uri).done
            deliver(journal, store)
        else:
            assert client.calls_left > 0
            break
        expected = {n: tuple(_renamed(part, fresh, pipeline) for part in parts) for n, parts in whole.items()}
        assert state(store, pipeline) == expected, f"cut at call {cut}"
    assert cut > 15


def _renamed(part: Any, old: str, new: str) -> Any:
    return (
        {k: v.replace(old, new) if isinstance(v, str) else v for k, v in part.items()}
        if isinstance(part, dict)
        else part
    )


@pytest.mark.parametrize(
    "damage",
    [None, '{"store": "", "sent": "x"}', '{"store": "", "sent": 1000000000, "done": true}', "[", "\0"],
)
def test_delivery_without_a_cursor_changes_nothing(
    store: Store, fresh: str, tmp_path: Path, damage: str | None
) -> None:
    """If the cursor file is missing or damaged."""
    journal = write(tmp_path / "r.jsonl", list(journals.run(fresh, "r", artifact(tmp_path / "made"))))
    deliver(journal, store)
    once = state(store, fresh)
    cursor = journal.with_suffix(".cursor")
    cursor.unlink()
    if damage is not None:
        cursor.write_text(damage)
    assert deliver(journal, store).done
    assert state(store, fresh) == once


def test_growing_journal_is_delivered_incrementally(store: Store, fresh: str, tmp_path: Path) -> None:
    events = list(journals.run(fresh, "r", artifact(tmp_path / "made")))
    with Journal(tmp_path / "r.jsonl") as journal:
        for event in events[:6]:
            journal(event)
        delivery = Delivery(journal.file, store, no_score)
        assert not delivery.advance()
        assert runs(store, fresh)["train"].info.status == "RUNNING"
        assert runs(store, fresh)["train"].data.metrics["loss"] == 0.5
        for event in events[6:]:
            journal(event)
        assert not delivery.advance()
    assert delivery.advance()
    assert runs(store, fresh)["r"].info.status == "FINISHED"


def test_killed_run_is_closed_and_the_resumed_stage_has_the_whole_curve(
    store: Store, fresh: str, tmp_path: Path
) -> None:
    """Killed after step 3; the checkpoint was of step 2. The artifact's record has the logged values."""
    logged = [{"step": step, "loss": 1 / (step + 1), "hits@10": step / 10} for step in range(5)]
    folder = artifact(tmp_path / "made", [*logged, {"step": None, "loss": 0.125}])
    first = list(journals.run(fresh, "first", folder, range(4)))[:8]
    assert isinstance(first[-1], Metrics)
    deliver(write(tmp_path / "first.jsonl", first), store)
    assert {run.info.status for run in runs(store, fresh).values()} == {"KILLED"}
    second = list(journals.run(fresh, "second", folder, range(2, 5), resumed=True))
    deliver(write(tmp_path / "second.jsonl", second), store)
    query = "tags.`kepipe.run` = 'second' and tags.`kepipe.stage` = 'train'"
    (child,) = store.client.search_runs([store.experiment(fresh)], query)
    curve = store.client.get_metric_history(child.info.run_id, "hits_at_10")
    assert sorted((m.step, m.value) for m in curve) == [(step, step / 10) for step in range(5)]
    assert child.data.metrics["loss"] == 0.125
    assert child.data.tags["kepipe.resumed"] == "true"


def test_refused_events_are_reported_and_skipped(store: Store, fresh: str, tmp_path: Path) -> None:
    events = list(journals.run(fresh, "r", artifact(tmp_path / "made")))
    events.insert(-1, offered(fresh, tmp_path / "gone", "digest", 0.5, run="r"))
    journal = write(tmp_path / "r.jsonl", events)
    with journal.open("ab") as stream:
        stream.write(b"no event\n")
    cursor = deliver(journal, store)
    assert cursor.done
    assert "model folder" in cursor.refused[0]
    assert "r.jsonl: byte" in cursor.refused[1]
    assert runs(store, fresh)["r"].info.status == "FINISHED"


def test_pending_journals_are_delivered_in_order_by_one_process_each(
    store: Store, fresh: str, tmp_path: Path
) -> None:
    folder = artifact(tmp_path / "made")
    for number, name in enumerate(("late", "early", "taken")):
        moved = [_later(event, -100.0 * number) for event in journals.run(fresh, name, folder)]
        write(tmp_path / "tracking" / f"{name}.jsonl", moved)
    assert pending(tmp_path) == 3
    with claim(tmp_path / "tracking" / "taken.jsonl") as mine:
        assert mine
        assert list(deliver_pending(tmp_path, store, no_score)) == ["early", "late"]
    assert pending(tmp_path) == 1
    (tmp_path / "tracking" / "nested.jsonl").write_bytes(b"[" * 100_000 + b"\n")
    assert list(deliver_pending(tmp_path, store, no_score)) == ["taken", "nested"]


@pytest.mark.parametrize(
    "content", ["", "{", '{"store": "s", "sent": "x"}', '{"store": "s", "sent": 1000000000}']
)
def test_damaged_cursor_restarts_delivery(tmp_path: Path, content: str) -> None:
    journal = write(tmp_path / "r.jsonl", list(journals.run("pipeline", "r", tmp_path)))
    Cursor("s", sent=7).save(journal)
    assert Cursor.load(journal, "s").sent == 7
    journal.with_suffix(".cursor").write_text(content)
    assert Cursor.load(journal, "s") == Cursor("s")


def test_delivery_by_another_process_is_waited_for(store: Store, fresh: str, tmp_path: Path) -> None:
    """So that all ended runs are in the store after `kepipe track sync`. Running ones are not waited for."""
    events = list(journals.run(fresh, "ended", artifact(tmp_path / "made")))
    ended = write(tmp_path / "tracking" / "ended.jsonl", events)
    with Journal(tmp_path / "tracking" / "running.jsonl") as running, ThreadPoolExecutor() as pool:
        running(_later(replace(events[0], run="running"), -100.0))
        with claim(running.file):  # as the process that a run starts
            with claim(ended):
                waiting = pool.submit(deliver_pending, tmp_path, store, no_score, wait=True)
                with pytest.raises(TimeoutError):
                    waiting.result(timeout=0.5)
            assert list(waiting.result()) == ["ended"]
    assert runs(store, fresh)["ended"].info.status == "FINISHED"


def _later(event: Event, seconds: float) -> Event:
    return replace(event, at=event.at + seconds)


def test_metrics_are_sent_in_batches(tmp_path: Path) -> None:
    metric = Metrics(values={"a": 1.0, "b": 2.0}, step=1)
    groups = list(batches(Entry(metric, n) for n in range(1200)))
    assert [len(group) for group in groups] == [500, 500, 200]


def test_delivery_stops_and_keeps_events_if_the_artifact_server_is_unreachable(
    store: Store, fresh: str, tmp_path: Path
) -> None:
    store.client.create_experiment(fresh, artifact_location="mlflow-artifacts://127.0.0.1:9/")
    journal = write(tmp_path / "r.jsonl", list(journals.run(fresh, "r", artifact(tmp_path / "made"))))
    with pytest.raises(StoreUnavailable, match=r"^artifacts at mlflow-artifacts://127\.0\.0\.1:9/: "):
        deliver(journal, store)
    cursor = Cursor.load(journal, store.uri)
    assert (cursor.done, cursor.refused) == (False, [])
    assert cursor.sent < cursor.sending
    assert runs(store, fresh)["train"].info.status == "RUNNING"


def test_unreachable_store_raises_store_unavailable(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "http://127.0.0.1:9")
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:9"):
        connect(tmp_path)
    mlflow.set_tracking_uri(store.uri)
    mlflow.set_registry_uri(store.uri)
