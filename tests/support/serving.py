"""`kepipe serve` in a separate process, its client, and a model that answers on demand."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pandas as pd

from kepipe.tracking.registry import offer
from kepipe.tracking.server_process import end_group
from kepipe.tracking.store import Store
from tests.support.deliveries import no_score
from tests.support.journals import offered
from tests.support.ports import free_port
from tests.support.waiting import TIMEOUT


@contextmanager
def served(
    model: str, workspace: Path, *options: str
) -> Iterator[tuple[httpx.Client, subprocess.Popen[str]]]:
    """A client of a server for `model`."""
    command = [sys.executable, "-m", "kepipe", "serve", model, "--workspace", str(workspace), "--port", "0"]
    command += ["--timeout", str(TIMEOUT)]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split("  ")[0]
        assert address.startswith(("http://127.0.0.1:", "http://[::1]:")), address
        try:
            with httpx.Client(base_url=address, timeout=TIMEOUT) as client:
                yield client, process
        finally:
            process.send_signal(signal.SIGTERM)


class Echo:
    """Answers each text with as many rows as it has letters; refuses "bad". While `gate` is closed it works."""

    def __init__(self) -> None:
        self.requests: list[tuple[list[str], dict[str, int]]] = []
        self.gate = threading.Event()
        self.started = threading.Event()

    def predict(self, model_input: Sequence[str], params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        self.requests.append((list(model_input), dict(params or {})))
        self.started.set()
        self.gate.wait()
        if "bad" in model_input:
            raise ValueError("a bad text")
        rows = [(number, letter) for number, text in enumerate(model_input) for letter in text]
        return pd.DataFrame(rows, columns=["text", "prediction"])


def ask(client: httpx.Client, texts: Sequence[str], **params: int) -> httpx.Response:
    """The response for texts."""
    return client.post("/invocations", json={"inputs": list(texts), "params": params})


def register(store: Store, name: str, folder: Path, value: float) -> int:
    """Register a model; it becomes champion if its value is better than the champion's. Returns its version."""
    experiment = store.experiment("serving")
    run = store.client.create_run(experiment).info.run_id
    source = SimpleNamespace(experiment=experiment, run_id=lambda _stage: run, maker_id=lambda _digest: None)
    decision = offer(store, offered(name, folder, f"digest-{value}", value), source, no_score)
    assert decision is not None
    return int(decision["version"])


@contextmanager
def mlflow_served(model: str, uri: str) -> Iterator[str]:
    """The address of `mlflow models serve`."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", model, "--env-manager", "local"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # where it looks for uvicorn
    environment = {
        **os.environ, "PATH": path, "MLFLOW_TRACKING_URI": uri, "MLFLOW_DISABLE_TELEMETRY": "true",
    }  # fmt: skip
    with subprocess.Popen(
        [*command, "--port", str(port)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        address = f"http://127.0.0.1:{port}"
        try:
            while not _answers(address):
                assert process.poll() is None, "mlflow models serve ended"
                time.sleep(0.2)
            yield address
        finally:
            end_group(process)


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health").status_code == 200
    except httpx.HTTPError:
        return False
