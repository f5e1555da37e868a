"""`kepipe serve` beside `mlflow models serve`, the same registered model: requests a second and the time to an answer.

    python -m tests.benchmarks.serving [--seconds 10] [--clients 1 8 32]

A tiny model, so that what is measured is the serving; with `--model models:/NAME@champion --workspace …` one of yours.
The machine's cores are shared by server and clients.
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
    """Requests a second, and the median and 95th percentile of milliseconds to an answer. AssertionError for an answer
    that is none."""
    end = time.perf_counter() + seconds
    body = {"inputs": list(texts)}

    def client() -> list[float]:
        took = []
        with httpx.Client(base_url=address, timeout=600) as asking:
            while (begun := time.perf_counter()) < end:
                answer = asking.post("/invocations", json=body)
                assert answer.status_code == 200, answer.text
                took.append(time.perf_counter() - begun)
        return took

    with ThreadPoolExecutor(clients) as pool:
        begun = time.perf_counter()
        took = np.concatenate([each.result() for each in [pool.submit(client) for _ in range(clients)]])
        whole = time.perf_counter() - begun
    median, late = np.percentile(took, (50, 95)) * 1000
    return len(took) / whole, float(median), float(late)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--model", default="")
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--text", default="ann saw [MASK] in oslo")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        space = (arguments.workspace or Path(folder)).resolve()
        store, model = connect(space), arguments.model
        if not model:
            register(store, "masks", base_model(Path(folder) / "base", layers=2).folder, 0.5)
            model = "models:/masks@champion"
        print(f"{'':8}  {'clients':>7}  {'requests/s':>10}  {'p50 ms':>8}  {'p95 ms':>8}")

        def tell(who: str, address: str) -> None:
            load(address, [arguments.text], 2, 1)  # first requests open what is opened once
            for clients in arguments.clients:
                rate, median, late = load(address, [arguments.text], clients, arguments.seconds)
                print(f"{who:8}  {clients:7}  {rate:10.1f}  {median:8.1f}  {late:8.1f}", flush=True)

        with served(model, space) as (client, _):
            tell("kepipe", str(client.base_url))
        with mlflow_served(model, store.uri) as address:
            tell("mlflow", address)


if __name__ == "__main__":
    main()
