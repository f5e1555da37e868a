"""The HTTP interface while the model is busy: timeouts, a full queue, readiness."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from kepipe.serving.app import Limits, make_app
from kepipe.serving.served_model import CurrentModel, LoadedVersion
from kepipe.tracking.predictors import PREDICTORS
from tests.support.serving import Echo
from tests.support.tasks import base_model


async def ask(client: httpx.AsyncClient, text: str) -> httpx.Response:
    return await client.post("/invocations", json={"inputs": [text]})


def test_full_queue_and_timeout_are_reported_and_requests_dropped(tmp_path: Path) -> None:
    echo = Echo()
    current = CurrentModel(str(base_model(tmp_path, layers=1).folder), tmp_path, print)
    current.loaded = LoadedVersion(echo, "7", PREDICTORS["text"])
    app = make_app(current, Limits(timeout=0.5, max_waiting=1), {"127.0.0.1"}, 60)

    async def scenario() -> None:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            assert (await client.get("/ready")).status_code == 200
            at_work = asyncio.create_task(ask(client, "a"))
            await asyncio.to_thread(echo.begun.wait)
            waits = asyncio.create_task(ask(client, "b"))
            while (await client.get("/ready")).status_code == 200:
                await asyncio.sleep(0.01)
            refused = await ask(client, "c")
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
            assert "too many texts are queued" in refused.json()["error"]
            late = await asyncio.gather(at_work, waits)
            assert [answer.status_code for answer in late] == [504, 504]
            assert late[0].json()["error"] == "no response within 0.5 seconds"
            echo.gate.set()
            while (await client.get("/ready")).status_code == 503:
                await asyncio.sleep(0.01)
            assert (await ask(client, "d")).json()["predictions"] == [{"text": 0, "prediction": "d"}]
            figures = (await client.get("/metrics")).text
            assert 'kepipe_requests_total{status="504"} 2.0' in figures

    asyncio.run(scenario())
    assert [texts for texts, _ in echo.asked] == [["a"], ["d"]], "timed-out requests are dropped"
