"""Requests per second and latency of `kepipe serve` and `mlflow models serve`, with the same registered model.

    python -m tests.benchmarks.serving [--seconds 10] [--clients 1 8 32]

The model is tiny, so that its own time is small; `--model models:/NAME@champion --workspace …` serves another one.
Server and clients share the cores of the machine.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np

from kepipe.tracking.store import connect
from tests.support.serving import mlflow_served, register, served
from tests.support.tasks import base_model


def load(address: str, texts: Sequence[str], clients: int, seconds: float) -> tuple[float, float, float]:
    """Requests per second, and the median and the 95th percentile of the latency in milliseconds. Raises AssertionError
    for a response with an error."""
    end = time.perf_counter() + seconds
    body = {"inputs": list(texts)}

    def client() -> list[float]:
        latencies = []
        with httpx.Client(base_url=address, timeout=600) as connection:
            while (start := time.perf_counter()) < end:
                answer = connection.post("/invocations", json=body)
                assert answer.status_code == 200, answer.text
                latencies.append(time.perf_counter() - start)
        return latencies

    with ThreadPoolExecutor(clients) as pool:
        start = time.perf_counter()
        latencies = np.concatenate(
            [future.result() for future in [pool.submit(client) for _ in range(clients)]]
        )
        elapsed = time.perf_counter() - start
    median, p95 = np.percentile(latencies, (50, 95)) * 1000
    return len(latencies) / elapsed, float(median), float(p95)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--model", default="")
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--text", default="ann saw [MASK] in oslo")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = (args.workspace or Path(folder)).resolve()
        store, model = connect(workspace), args.model
        if not model:
            register(store, "masks", base_model(Path(folder) / "base", layers=2).folder, 0.5)
            model = "models:/masks@champion"
        print(f"{'':8}  {'clients':>7}  {'requests/s':>10}  {'p50 ms':>8}  {'p95 ms':>8}")

        def measure(server: str, address: str) -> None:
            load(address, [args.text], 2, 1)  # the first requests initialise the server
            for clients in args.clients:
                rate, median, p95 = load(address, [args.text], clients, args.seconds)
                print(f"{server:8}  {clients:7}  {rate:10.1f}  {median:8.1f}  {p95:8.1f}", flush=True)

        with served(model, workspace) as (client, _):
            measure("kepipe", str(client.base_url))
        with mlflow_served(model, store.uri) as address:
            measure("mlflow", address)


if __name__ == "__main__":
    main()
