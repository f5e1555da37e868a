"""An HTTP server in its own process: answers equal MLflow's, limits, a model swap under load, shutdown."""

from __future__ import annotations

import json
import math
import re
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import mlflow.pyfunc
import pytest
from typer.testing import CliRunner

import kepipe
from kepipe.cli import app
from kepipe.tracking import pyfunc, registry
from kepipe.tracking.store import Store, connect
from tests.support import fusion
from tests.support.serving import ask, mlflow_served, register, served
from tests.support.tasks import base_model, finetune, write_task
from tests.support.waiting import TIMEOUT, until

TEXTS = ["ann saw [MASK] in oslo", "[MASK] and [MASK]", "the rain was [MASK]"]
JSON = {"Content-Type": "application/json"}
LIMITS = ("--max-texts", "4", "--max-bytes", "2000", "--refresh", "0.2")


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
            patch.delenv(name, raising=False)
        patch.setenv("OMP_NUM_THREADS", "1")
        yield tmp_path_factory.mktemp("space")


@pytest.fixture(scope="module")
def store(space: Path) -> Store:
    return connect(space)


@pytest.fixture(scope="module")
def models(space: Path, store: Store) -> list[Path]:
    """Two versions of the registered model `masks`, the first its champion, and another that fits nowhere."""
    folders = [base_model(space / f"layers-{layers}", layers=layers).folder for layers in (1, 2)]
    register(store, "masks", folders[0], 0.5)
    register(store, "masks", folders[1], 0.4)
    return folders


@pytest.fixture(scope="module")
def running(space: Path, models: list[Path]) -> Iterator[httpx.Client]:
    with served("models:/masks@champion", space, *LIMITS) as (client, _):
        yield client


def by_mlflow(store: Store, uri: str, texts: list[str], **params: Any) -> list[dict[str, Any]]:
    """The predictions of the model as opened by MLflow."""
    mlflow.set_tracking_uri(store.uri)
    table = mlflow.pyfunc.load_model(uri).predict(texts, params=params)
    rows: list[dict[str, Any]] = table.to_dict("records")
    return rows


def test_server_answers_equal_the_registered_models(running: httpx.Client, store: Store) -> None:
    answer = ask(running, TEXTS, top=3)
    assert answer.status_code == 200
    assert answer.headers["X-Model-Version"] == "1"
    expected = by_mlflow(store, "models:/masks/1", TEXTS, top=3)
    found = answer.json()["predictions"]
    assert [(row["text"], row["place"], row["prediction"]) for row in found] == [
        (row["text"], row["place"], row["prediction"]) for row in expected
    ]
    assert [row["probability"] for row in found] == pytest.approx([row["probability"] for row in expected])


def test_server_accepts_one_text_and_instances(running: httpx.Client) -> None:
    expected = ask(running, TEXTS[:1]).json()
    for body in ({"inputs": TEXTS[0]}, {"instances": TEXTS[:1]}):
        assert running.post("/invocations", json=body).json() == expected


def test_server_answers_equal_mlflow_serving(running: httpx.Client, store: Store) -> None:
    with (
        mlflow_served("models:/masks/1", store.uri) as address,
        httpx.Client(base_url=address, timeout=TIMEOUT) as client,
    ):
        theirs = ask(client, TEXTS, top=2).json()["predictions"]
    ours = ask(running, TEXTS, top=2).json()["predictions"]
    assert [row["prediction"] for row in ours] == [row["prediction"] for row in theirs]
    assert [row["probability"] for row in ours] == pytest.approx([row["probability"] for row in theirs])


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        ({"inputs": ["no mask"]}, 400, "has no [MASK]"),
        ({"inputs": []}, 400, "inputs: Value should have at least 1 item"),
        ({"inputs": [3]}, 400, "inputs.0: Input should be a valid string"),
        ({"texts": ["a"]}, 400, "inputs: Field required"),
        ({"inputs": ["[MASK]"], "params": {"tops": 3}}, 400, "params.tops: not a parameter of this model; known: top"),
        ({"inputs": ["[MASK]"], "params": {"top": 0}}, 400, "params.top: expected 1 to 100, found 0"),
        ({"inputs": ["[MASK]"], "params": {"top": 10**6}}, 400, "params.top: expected 1 to 100"),
        ({"inputs": ["[MASK]"] * 5}, 413, "5 texts; at most 4 are allowed per request"),
        ({"inputs": ["x" * 3000]}, 413, "more than 2,000 bytes"),
    ],
)  # fmt: skip
def test_invalid_request_is_explained(
    running: httpx.Client, body: dict[str, Any], status: int, why: str
) -> None:
    answer = running.post("/invocations", json=body)
    assert (answer.status_code, why in answer.json()["error"]) == (status, True), answer.text


def test_server_rejects_foreign_hosts_and_non_json(running: httpx.Client) -> None:
    body = json.dumps({"inputs": TEXTS})
    form = running.post("/invocations", content=body, headers={"Content-Type": "text/plain"})
    assert form.status_code == 415
    elsewhere = running.post("/invocations", content=body, headers={**JSON, "Host": "evil.example"})
    assert elsewhere.status_code == 400
    assert "--allowed-host evil.example" in elsewhere.json()["error"]
    assert running.get("/health", headers={"Host": "10.0.0.7"}).status_code == 200  # as probes ask
    assert running.post("/invocations", content=b"\xff{", headers=JSON).status_code == 400


def test_server_reports_health_version_and_metrics(running: httpx.Client) -> None:
    assert running.get("/health").json() == running.get("/ping").json() == {"status": "alive"}
    assert running.get("/ready").json()["ready"]
    assert running.get("/version").json()["model"] == "models:/masks@champion"
    before = ask(running, TEXTS)
    figures = running.get("/metrics").text
    assert (
        f'kepipe_model{{model="models:/masks@champion",version="{before.headers["X-Model-Version"]}"}} 1.0'
        in figures
    )
    assert 'kepipe_requests_total{status="200"}' in figures
    assert "kepipe_request_seconds_bucket" in figures
    assert "kepipe_waiting_texts 0.0" in figures
    assert "/invocations" in running.get("/openapi.json").json()["paths"]


def test_predict_accepts_a_registered_model_uri(space: Path, store: Store) -> None:
    data = write_task(space / "data", "classification", train=60, test=20)
    made = finetune(space / "work", base_model(space / "base"), "classification", data, epochs=2)
    register(store, "opinions", made.folder, 0.5)
    texts = ["we saw a lovely day", "the rain was awful"]
    with served("models:/opinions@champion", space) as (client, _):
        answers = ask(client, texts).json()["predictions"]
    words = ["predict", "models:/opinions@champion", *texts, "--json", "--workspace", str(space)]
    ended = CliRunner().invoke(app, words)
    assert ended.exit_code == 0, ended.output
    told = [json.loads(line) for line in ended.output.splitlines()]
    assert [answer["prediction"] for answer in answers] == [record["predicted"] for record in told]
    assert [answer["probability"] for answer in answers] == pytest.approx(
        [record["probability"] for record in told]
    )


def test_server_switches_champion_without_losing_requests(
    space: Path, store: Store, models: list[Path]
) -> None:
    expected = {version: by_mlflow(store, f"models:/masks/{version}", TEXTS) for version in ("1", "2")}
    assert expected["1"] != expected["2"]
    enough, found = threading.Event(), list[httpx.Response]()

    def client_of(address: httpx.URL) -> None:
        with httpx.Client(base_url=address, timeout=None) as client:
            while not enough.is_set():
                found.append(ask(client, TEXTS))

    with served("models:/masks@champion", space, *LIMITS) as (client, _), ThreadPoolExecutor(8) as pool:
        clients = [pool.submit(client_of, client.base_url) for _ in range(8)]
        try:
            until(lambda: len(found) > 20)
            registry.promote(store, "masks", 2)
            until(lambda: client.get("/version").json()["version"] == "2")
            seen = len(found)
            until(lambda: len(found) > seen + 20)
            registry.rollback(store, "masks")
            until(lambda: client.get("/version").json()["version"] == "1")
        finally:
            enough.set()
        for each in clients:
            each.result()
    assert {answer.status_code for answer in found} == {200}
    assert {answer.headers["X-Model-Version"] for answer in found} == {"1", "2"}
    for answer in found:
        rows, right = answer.json()["predictions"], expected[answer.headers["X-Model-Version"]]
        assert [row["prediction"] for row in rows] == [row["prediction"] for row in right]
        assert all(
            math.isclose(row["probability"], other["probability"], rel_tol=1e-4)
            for row, other in zip(rows, right, strict=True)
        )


def test_server_keeps_the_previous_version_if_a_new_one_fails_to_open(
    space: Path, store: Store, models: list[Path]
) -> None:
    register(store, "broken", models[0], 0.5)
    damaged = space / "damaged"
    damaged.mkdir()
    (damaged / "model.safetensors").write_text("no weights")
    with served("models:/broken@champion", space, *LIMITS) as (client, process):
        register(store, "broken", damaged, 0.9)
        assert process.stdout is not None
        assert "still serving version 1" in process.stdout.readline()
        assert ask(client, TEXTS).headers["X-Model-Version"] == "1"
        register(store, "broken", models[1], 0.95)
        assert "version 3 is now being served" in process.stdout.readline()


def test_masked_predictions_with_entities_are_equal_in_every_interface(space: Path) -> None:
    """A fused model brings its linker. Its folder, without a manifest, is served by IPv6."""
    world = space / "fused"
    fusion.write_linker(world)
    made, _ = fusion.pretrain(fusion.write_world(world), space / "pretrain")
    place = made.rename(space / "模型")
    texts = [
        "Old Bridge lies [MASK] of the town",
        "the [MASK] lies [MASK]",
        "[[River Hill||Q10]] lies [MASK]",
    ]
    with served(str(place), space, "--host", "::1") as (client, _):
        answer = ask(client, texts)
        assert (answer.status_code, answer.headers["X-Model-Version"]) == (200, "")
        assert client.get("/version").json()["model"] == str(place)
    over_http = shown(answer.json()["predictions"])
    records = predicted(place, texts, space)
    assert shown(as_pyfunc(place, texts, space)) == filled(records) == over_http
    found = [[(e["text"], e["entity"], e["known"]) for e in record["entities"]] for record in records]
    assert found == [[("Old Bridge", "Q10", True)], [], [("River Hill", "Q10", True)]]

    linked = kepipe.load(place).predict(texts)
    (place / "linker").rename(space / "linker")
    unlinked = kepipe.load(place).predict(texts)
    assert ["entities" in record for record in unlinked] == [False, False, True]
    same = [one["masks"] == other["masks"] for one, other in zip(unlinked, linked, strict=True)]
    assert same == [False, True, True]
    assert filled(kepipe.load(place, linker=space / "linker").predict(texts)) == over_http
    other = filled(kepipe.load(place).predict("[[Old Bridge||Q9]] lies [MASK] of the town"))
    assert [row[3] for row in other] != [row[3] for row in over_http[:5]]


def test_masked_predictions_with_pretrained_triples_are_equal_everywhere(space: Path) -> None:
    """K-BERT's triples are in the folder of the pretrained model, beside the linker, and need no options."""
    world = space / "injected"
    fusion.write_linker(world)
    place = fusion.pretrain_with_triples(fusion.write_world(world), space / "pretrain-injected")
    texts = ["Old Bridge lies [MASK] of the town", "the [MASK] lies [MASK]"]
    with served(str(place), space) as (client, _):
        over_http = shown(ask(client, texts).json()["predictions"])
    records = predicted(place, texts, space)
    assert shown(as_pyfunc(place, texts, space)) == filled(records) == over_http
    assert [[(e["text"], e["known"]) for e in record["entities"]] for record in records] == [
        [("Old Bridge", True)], []
    ]  # fmt: skip
    without = filled(kepipe.load(place, knowledge="none").predict(texts))
    assert (without[:5] != over_http[:5], without[5:] == over_http[5:]) == (True, True)
    assert filled(kepipe.load(place, knowledge="k-bert", graph=world / "names").predict(texts)) == over_http


def predicted(place: Path, texts: list[str], space: Path) -> list[dict[str, Any]]:
    ended = CliRunner().invoke(app, ["predict", str(place), *texts, "--json", "--workspace", str(space)])
    assert ended.exit_code == 0, ended.output
    return [json.loads(line) for line in ended.output.splitlines()]


def as_pyfunc(place: Path, texts: list[str], space: Path) -> list[dict[str, Any]]:
    pyfunc.write(place, space / f"{place.name}-as-pyfunc", "m-0", "r")
    return mlflow.pyfunc.load_model(str(space / f"{place.name}-as-pyfunc")).predict(texts).to_dict("records")


def shown(rows: list[dict[str, Any]]) -> list[tuple[int, int, str, float]]:
    return [(row["text"], row["place"], row["prediction"], round(row["probability"], 5)) for row in rows]


def filled(records: list[dict[str, Any]]) -> list[tuple[int, int, str, float]]:
    return [
        (text, place, filling["token"], round(filling["probability"], 5))
        for text, record in enumerate(records)
        for place, fillings in enumerate(record["masks"])
        for filling in fillings
    ]


def received(figures: str) -> float:
    """The number of requests that a server has received: those that are answered, and those in progress."""
    counted = re.findall(r"^kepipe_requests(?:_total{.*}|_in_progress) (\S+)$", figures, re.MULTILINE)
    return sum(map(float, counted))


def test_server_finishes_requests_before_it_ends(space: Path, models: list[Path]) -> None:
    options = ("--max-bytes", "10000000", "--max-texts", "4000", "--max-waiting", "100000")
    with served(str(models[0]), space, *options) as (client, process), ThreadPoolExecutor(3) as pool:
        open_ = [
            pool.submit(ask, httpx.Client(base_url=client.base_url, timeout=None), TEXTS * 500)
            for _ in range(3)
        ]
        until(lambda: received(client.get("/metrics").text) == 3)
        process.send_signal(signal.SIGTERM)
        assert {len(each.result().json()["predictions"]) for each in open_} == {4 * 500 * 5}
        process.wait()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{client.base_url}/health")


@pytest.mark.parametrize("seconds", ["inf", "nan", "1e300"])
def test_serve_refuses_seconds_that_no_server_waits(seconds: str) -> None:
    for option in ("--timeout", "--refresh"):
        ended = CliRunner().invoke(app, ["serve", "nowhere", option, seconds])
        assert ended.exit_code == 2
        assert f"Invalid value for '{option}'" in ended.output


def test_serve_reports_a_missing_model(space: Path, models: list[Path]) -> None:
    for name, why in (("models:/masks@none", "none not found"), (str(space), "")):
        ended = CliRunner().invoke(app, ["serve", name, "--workspace", str(space), "--port", "0"])
        assert ended.exit_code != 0
        assert why in str(ended.exception)


def test_serve_reports_a_port_in_use(space: Path, models: list[Path]) -> None:
    with served(str(models[0]), space) as (client, _):
        words = ["serve", str(models[0]), "--workspace", str(space), "--port", str(client.base_url.port)]
        ended = CliRunner().invoke(app, words)
    assert "try another --port" in str(ended.exception)
