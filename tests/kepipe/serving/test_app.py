"""The HTTP interface while the model is busy: timeouts, a full queue, readiness."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from kepipe.serving.app import Limits, make_app
from kepipe.serving.served_model import CurrentModel, LoadedVersion
from kepipe.tracking.predictors import PREDICTORS
from tests.support.serving import Echo
from tests.support.tasks import base_model
from tests.support.waiting import TIMEOUT


async def ask(client: httpx.AsyncClient, text: str) -> httpx.Response:
    return await client.post("/invocations", json={"inputs": [text]})


@pytest.fixture
def echo() -> Iterator[Echo]:
    """A model that waits for its gate to be opened."""
    model = Echo()
    yield model
    model.gate.set()


def serving(echo: Echo, folder: Path, limits: Limits) -> httpx.AsyncClient:
    current = CurrentModel(str(base_model(folder, layers=1).folder), folder, print)
    current.loaded = LoadedVersion(echo, "7", PREDICTORS["text"])
    app = make_app(current, limits, {"127.0.0.1"}, 60)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")


def test_full_queue_answers_503(echo: Echo, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(echo, tmp_path, Limits(timeout=TIMEOUT, max_waiting=1)) as client:
            assert (await client.get("/ready")).status_code == 200
            at_work = asyncio.create_task(ask(client, "a"))
            await asyncio.to_thread(echo.started.wait)
            waits = asyncio.create_task(ask(client, "b"))
            while (await client.get("/ready")).status_code == 200:
                await asyncio.sleep(0.01)
            refused = await ask(client, "c")
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
            assert "too many texts are queued" in refused.json()["error"]
            assert "kepipe_requests_in_progress 2.0" in (await client.get("/metrics")).text
            echo.gate.set()
            assert [answer.status_code for answer in await asyncio.gather(at_work, waits)] == [200, 200]
            assert (await client.get("/ready")).status_code == 200

    asyncio.run(scenario())
    assert [texts for texts, _ in echo.requests] == [["a"], ["b"]]


def test_timeout_answers_504_and_abandoned_requests_are_not_predicted(echo: Echo, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(echo, tmp_path, Limits(timeout=0.5)) as client:
            at_work = asyncio.create_task(ask(client, "a"))
            await asyncio.to_thread(echo.started.wait)
            late = await asyncio.gather(at_work, ask(client, "b"))
            assert [answer.status_code for answer in late] == [504, 504]
            assert late[0].json()["error"] == "no response within 0.5 seconds"
            figures = (await client.get("/metrics")).text
            assert 'kepipe_requests_total{status="504"} 2.0' in figures
            assert "kepipe_requests_in_progress 0.0" in figures
            echo.gate.set()
            while (answer := await ask(client, "d")).status_code == 504:
                pass
            assert answer.json()["predictions"] == [{"text": 0, "prediction": "d"}]

    asyncio.run(scenario())
    asked = [texts for texts, _ in echo.requests]
    assert (asked[0], {text for texts in asked[1:] for text in texts}) == (["a"], {"d"})
