"""MLflow's pages on the store of a workspace, on this machine alone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from kepipe.config import ConfigError
from kepipe.tracking import runs_table
from kepipe.tracking.server_process import PATIENCE as PATIENCE_TO_END
from kepipe.tracking.server_process import launch
from kepipe.tracking.store import Store, connect, every

HOST, EVERYWHERE = "127.0.0.1", "0.0.0.0"
PATIENCE = 600.0
"""Seconds within which the server has to answer."""
JOBS = "MLFLOW_SERVER_ENABLE_JOB_EXECUTION"


def is_free(port: int, host: str = HOST) -> bool:
    """Whether a server may listen on a port of this machine, at an address of its own."""
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((host, port))
        except OSError:
            return False
    return True


def next_free(port: int) -> int:
    """The first free port from `port` on. Raises ConfigError where there is none up to 65535."""
    for candidate in range(port, 65536):
        if is_free(candidate):
            return candidate
    raise ConfigError(f"no port from {port} on is free")


def start(workspace: Path, port: int, host: str = HOST) -> subprocess.Popen[bytes]:
    """Start MLflow's server on the workspace's store and wait until it answers. `host`: the address it listens at.

    Raises ConfigError where the port is taken, StoreUnavailable where the store cannot be opened, RuntimeError with
    the server's own words where it gives up.
    """
    if not is_free(port, host):
        raise ConfigError(f"port {port} is taken; `kepipe dashboard --port {next_free(port + 1)}` would do")
    store = connect(workspace)
    options = {"host": host, "port": str(port), "workers": "1"}
    if host != HOST:
        options["allowed-hosts"] = ",".join(
            (f"{socket.gethostname()}:*", f"{host}:*", "localhost:*", f"{HOST}:*")
        )
    if store.artifacts is not None:
        options["default-artifact-root"] = store.artifacts
    command = [sys.executable, "-m", "mlflow", "server"]
    command += [word for name, value in options.items() for word in (f"--{name}", value)]
    log = workspace / "tracking" / "dashboard.log"
    with log.open("wb") as output:
        server = launch(
            command,
            cwd=sys.prefix,  # uvicorn imports from the folder it stands in
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=_environment(store.uri),
        )
    end = time.monotonic() + PATIENCE
    while not _answers(port, HOST if host == EVERYWHERE else host):
        ended = server.poll() is not None
        if ended or time.monotonic() > end:
            stop(server)
            words = log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
            trouble = f"ended: {words[-1]}" if ended else f"did not answer in {PATIENCE:.0f} s"
            raise RuntimeError(f"the MLflow server {trouble}; see {log}")
        time.sleep(0.1)
    return server


def pages(store: Store, address: str) -> list[tuple[str, str]]:
    """What there is to see of the newest training and where: its experiment's table of runs with the figures that
    decide, and its curves. Empty where nothing was trained."""
    client = store.client
    found = every(lambda page: client.search_experiments(page_token=page))
    experiments = {str(experiment.experiment_id): experiment for experiment in found}
    newest = ["attributes.start_time DESC"]
    runs = [
        run
        for kind in ("pretrain", "finetune")  # MLflow's queries know no list of a tag's values
        for run in client.search_runs(
            list(experiments), f"tags.`kepipe.kind` = '{kind}'", max_results=1, order_by=newest
        )
        if experiments
    ]
    if not runs:
        return []
    about = max(runs, key=lambda run: run.info.start_time).info
    experiment = f"{address}/#/experiments/{about.experiment_id}/runs"
    table = [("the runs of its pipeline", f"{experiment}?viewStateShareKey={runs_table.VIEW}")]
    curves = ("the newest training", f"{experiment}/{about.run_id}/model-metrics")
    return [curves, *(table if runs_table.TAG in experiments[about.experiment_id].tags else [])]


def stop(server: subprocess.Popen[bytes]) -> None:
    """End a server and those that it started."""
    server.terminate()
    try:
        server.wait(2 * PATIENCE_TO_END)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _answers(port: int, host: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _environment(uri: str) -> dict[str, str]:
    """The environment without a tracking address: the server is to open the store, not another server. The store's
    address, which may hold a password, stands here and not on the command line, which every user can read. Jobs, which
    nothing of kepipe asks for, take six processes beside the server: it starts none unless the user's environment says
    so."""
    kept = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    return {JOBS: "false", **kept, "MLFLOW_BACKEND_STORE_URI": uri}
