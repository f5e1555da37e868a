"""A real dashboard server: its address, process list, and pages."""

from __future__ import annotations

import http.client
import itertools
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from kepipe.flow.events import Metrics, Noted
from kepipe.tracking import dashboard, runs_table
from kepipe.tracking.store import Store
from tests.support import browser, journals
from tests.support.deliveries import deliver, runs
from tests.support.ports import free_port
from tests.support.waiting import TIMEOUT

LATER = itertools.count(4_000_000_000_000, 1000)
"""Beginnings of runs, each after all others of the store that tests share."""


def answered(port: int, headers: dict[str, str]) -> int:
    """The status of a request for experiments."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    told = {"Content-Type": "application/json", **headers}
    connection.request("POST", "/api/2.0/mlflow/experiments/search", '{"max_results": 1}', told)
    return connection.getresponse().status


def test_dashboard_listens_on_loopback_and_hides_the_stores_address(
    space: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It imports no modules from the folder in which it is started."""
    (tmp_path / "sqlparse.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONSAFEPATH", "1")  # as `kepipe.cli.main` sets it
    port = free_port()
    server = dashboard.start(space, port)
    try:
        processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
        assert not [process for process in processes if store.uri in " ".join(process.cmdline())]
        assert not [process for process in processes if "mlflow.server.jobs" in " ".join(process.cmdline())]
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT):
            pass
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.2", port), timeout=TIMEOUT)
        assert answered(port, {}) == 200
        assert answered(port, {"Host": "other.example"}) == 403  # a name of others that leads here
        assert (
            answered(port, {"Origin": "http://other.example"}) == 403
        )  # a page of others in the same browser
    finally:
        dashboard.stop(server)
    assert not (tmp_path / "ran").exists()


def test_dashboard_command_uses_the_given_host_and_links_the_newest_training(
    space: Path, store: Store, fresh: str
) -> None:
    experiment, ahead = store.experiment(fresh), next(LATER)
    run = store.client.create_run(experiment, ahead, {"kepipe.kind": "finetune"}).info.run_id
    port = free_port()
    address = f"http://127.0.0.2:{port}"
    command = f"dashboard --workspace {space} --host 127.0.0.2 --port {port}"
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "kepipe", *command.split()], stdout=subprocess.PIPE, text=True
    ) as shown:
        try:
            assert shown.stdout is not None
            lines = [shown.stdout.readline() for _ in range(2)]
            with socket.create_connection(("127.0.0.2", port), timeout=TIMEOUT):
                pass
            with pytest.raises(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        finally:
            shown.send_signal(signal.SIGINT)
    assert lines[0].startswith(f"{address}  showing ")
    assert lines[1] == f"the newest training: {address}/#/experiments/{experiment}/runs/{run}/model-metrics\n"


def test_dashboard_pages_link_curves_of_the_newest_training(store: Store, fresh: str) -> None:
    experiment, ahead = store.experiment(fresh), next(LATER)
    runs = {
        kind: store.client.create_run(experiment, ahead + later, {"kepipe.kind": kind}).info.run_id
        for later, kind in enumerate(["finetune", "pretrain", "evaluate"])
    }
    place = f"http://127.0.0.1:5000/#/experiments/{experiment}/runs"
    curves = ("the newest training", f"{place}/{runs['pretrain']}/model-metrics")
    assert dashboard.pages(store, "http://127.0.0.1:5000") == [curves]
    store.client.set_experiment_tag(
        experiment, runs_table.TAG, runs_table.view(["pretrain/final_held_out_loss"])
    )
    table = ("the runs of its pipeline", f"{place}?viewStateShareKey=kepipe")
    assert dashboard.pages(store, "http://127.0.0.1:5000") == [curves, table]


@pytest.fixture(scope="module")
def address(space: Path, store: Store) -> Iterator[str]:
    """Where the dashboard shows the pages of an experiment or a model."""
    port = free_port()
    server = dashboard.start(space, port)
    yield f"http://127.0.0.1:{port}/#"
    dashboard.stop(server)


@pytest.mark.browser
def test_runs_table_page_shows_main_metrics_and_verdict(
    address: str, store: Store, fresh: str, tmp_path: Path
) -> None:
    events = list(journals.run(fresh, f"{fresh}-run", journals.artifact(tmp_path / "out")))
    found = Noted(
        run=f"{fresh}-run", stage="", at=journals.BEGIN + 50, level="info", message="A gain is shown."
    )
    stamp = {"run": f"{fresh}-run", "stage": "train", "at": journals.BEGIN + 40}
    decided = Metrics(**stamp, values={"final_held_out_loss": 1.625, "best_held_out_loss": 1.5})
    told = [*events[:-2], decided, events[-2], found, events[-1]]
    deliver(journals.write(tmp_path / "tracking" / "r.jsonl", told), store)
    place = f"{address}/experiments/{store.experiment(fresh)}/runs?viewStateShareKey=kepipe"
    page = browser.rendered(place, seconds=60)
    assert "train/final_held_out_loss" in page
    assert "A gain is shown." in page
    assert "train/best_held_out_loss" not in page
    with browser.window() as window:
        window.goto(f"{place}&compareRunsMode=CHART")
        window.get_by_text("Main metrics").first.wait_for()
        window.locator(".js-plotly-plot .bars path").first.wait_for()
        charts = window.inner_text("body").partition("Main metrics")[2]
    assert "final_held_out_loss" in charts


@pytest.mark.browser
def test_dashboard_shows_run_stage_curve_and_registered_model(
    address: str, store: Store, fresh: str, tmp_path: Path
) -> None:
    folder = journals.artifact(tmp_path / "out")
    *events, ended = journals.run(fresh, f"{fresh}-run", folder)
    offer = journals.offered(fresh, folder, f"digest-{fresh}-run", 0.5, f"{fresh}-run")
    deliver(journals.write(tmp_path / "tracking" / "r.jsonl", [*events, offer, ended]), store)
    found, place = runs(store, fresh), f"{address}/experiments/{store.experiment(fresh)}/runs"
    with browser.window() as page:
        page.goto(f"{place}/{found[f'{fresh}-run'].info.run_id}")
        page.get_by_text("Child runs", exact=True).wait_for()
        page.get_by_role("link", name="train", exact=True).click()
        page.get_by_text("Parent run", exact=True).wait_for()
        assert f"{fresh} version 1: promoted" in page.inner_text("body")
        page.goto(f"{place}/{found['train'].info.run_id}/model-metrics")
        page.locator(".js-plotly-plot .scatterlayer path.js-line").first.wait_for()
        assert "train (loss)" in page.inner_text("body")
        page.goto(f"{address}/models/{fresh}")
        page.get_by_text("@ champion").first.wait_for()
        assert f"first champion, entity_cloze/mrr {0.5}" in page.inner_text("body")
