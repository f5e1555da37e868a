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
from kepipe.tracking.server_process import PATIENCE as PATIENCE_TO_END
from kepipe.tracking.store import connect

HOST = "127.0.0.1"
PATIENCE = 180.0
"""Seconds within which the server has to answer."""


def is_free(port: int) -> bool:
    """Whether a server may listen on a port of this machine."""
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((HOST, port))
        except OSError:
            return False
    return True


def next_free(port: int) -> int:
    """The first free port from `port` on. Raises ConfigError where there is none up to 65535."""
    for candidate in range(port, 65536):
        if is_free(candidate):
            return candidate
    raise ConfigError(f"no port from {port} on is free")


def start(workspace: Path, port: int) -> subprocess.Popen[bytes]:
    """Start MLflow's server on the workspace's store and wait until it answers.

    Raises ConfigError where the port is taken, StoreUnavailable where the store cannot be opened, RuntimeError with
    the server's own words where it gives up.
    """
    if not is_free(port):
        raise ConfigError(f"port {port} is taken; `kepipe dashboard --port {next_free(port + 1)}` would do")
    store = connect(workspace)
    options = {"host": HOST, "port": str(port), "workers": "1"}
    if store.artifacts is not None:
        options["default-artifact-root"] = store.artifacts
    command = [sys.executable, "-m", "kepipe.tracking.server_process", str(os.getpid())]
    command += [sys.executable, "-m", "mlflow", "server"]
    command += [word for name, value in options.items() for word in (f"--{name}", value)]
    log = workspace / "tracking" / "dashboard.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            cwd=sys.prefix,  # uvicorn imports from the folder it stands in
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=_environment(store.uri),
        )
    end = time.monotonic() + PATIENCE
    while not _answers(port):
        ended = server.poll() is not None
        if ended or time.monotonic() > end:
            stop(server)
            words = log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
            trouble = f"ended: {words[-1]}" if ended else f"did not answer in {PATIENCE:.0f} s"
            raise RuntimeError(f"the MLflow server {trouble}; see {log}")
        time.sleep(0.1)
    return server


def stop(server: subprocess.Popen[bytes]) -> None:
    """End a server and those that it started."""
    server.terminate()
    try:
        server.wait(2 * PATIENCE_TO_END)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _environment(uri: str) -> dict[str, str]:
    """The environment without a tracking address: the server is to open the store, not another server. The store's
    address, which may hold a password, stands here and not on the command line, which every user can read."""
    kept = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    return {**kept, "MLFLOW_BACKEND_STORE_URI": uri}
