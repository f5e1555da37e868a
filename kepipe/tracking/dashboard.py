"""The MLflow server on the store of a workspace."""

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
from kepipe.tracking.server_process import TERMINATE_TIMEOUT as STOP_SECONDS
from kepipe.tracking.server_process import launch
from kepipe.tracking.store import Store, connect, paginate

HOST, EVERYWHERE = "127.0.0.1", "0.0.0.0"
STARTUP_TIMEOUT = 600.0
"""Seconds to wait for the server to start."""
JOBS = "MLFLOW_SERVER_ENABLE_JOB_EXECUTION"


def is_free(port: int, host: str = HOST) -> bool:
    """Whether a port of this machine is free at an address."""
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((host, port))
        except OSError:
            return False
    return True


def next_free(port: int) -> int:
    """The first free port from `port` on. Raises ConfigError if there is none up to 65535."""
    for candidate in range(port, 65536):
        if is_free(candidate):
            return candidate
    raise ConfigError(f"no port from {port} on is free")


def start(workspace: Path, port: int, host: str = HOST) -> subprocess.Popen[bytes]:
    """Start the MLflow server on the workspace's store and wait until it responds. `host`: the address to bind.

    Raises ConfigError if the port is in use, StoreUnavailable if the store cannot be opened, RuntimeError with the
    server's last output if it exits.
    """
    if not is_free(port, host):
        raise ConfigError(f"port {port} is in use; try `kepipe dashboard --port {next_free(port + 1)}`")
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
            cwd=sys.prefix,  # uvicorn imports from the current folder
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=_environment(store.uri),
        )
    end = time.monotonic() + STARTUP_TIMEOUT
    while not _is_up(port, HOST if host == EVERYWHERE else host):
        ended = server.poll() is not None
        if ended or time.monotonic() > end:
            stop(server)
            output_lines = log.read_text(errors="replace").strip().splitlines() or ["it printed nothing"]
            problem = (
                f"exited: {output_lines[-1]}" if ended else f"did not respond within {STARTUP_TIMEOUT:.0f} s"
            )
            raise RuntimeError(f"the MLflow server {problem}; see {log}")
        time.sleep(0.1)
    return server


def pages(store: Store, address: str) -> list[tuple[str, str]]:
    """(title, URL) of pages about the newest training run: its curves, and the runs of its experiment with the main
    metrics. Empty if nothing was trained."""
    client = store.client
    found = paginate(lambda page: client.search_experiments(page_token=page))
    experiments = {str(experiment.experiment_id): experiment for experiment in found}
    newest = ["attributes.start_time DESC"]
    runs = [
        run
        for kind in ("pretrain", "finetune")  # MLflow's filters have no IN for tags
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
    """Stop a server and its child processes."""
    server.terminate()
    try:
        server.wait(2 * STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _is_up(port: int, host: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/health", timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _environment(uri: str) -> dict[str, str]:
    """The server's environment. MLFLOW_TRACKING_URI is removed, since the server must open the store itself and not
    another server. The store's URI may contain a password, so it is passed here and not on the command line, which
    other users can read. MLflow's job executors, six processes that kepipe does not need, are off unless the user's
    environment enables them."""
    kept = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    return {JOBS: "false", **kept, "MLFLOW_BACKEND_STORE_URI": uri}
