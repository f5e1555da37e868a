"""Run the server until it is asked to end: what was asked before is answered, nothing more is taken."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import uvicorn

from kepipe.config import ConfigError
from kepipe.serving.app import PATIENCE, Limits, make_app
from kepipe.serving.served_model import CurrentModel

HERE = ("127.0.0.1", "localhost", "::1")
"""Names of this machine that no other reaches."""
EVERYWHERE = ("0.0.0.0", "::")


def serve(
    model: str,
    workspace: Path,
    host: str,
    port: int,
    limits: Limits,
    tell: Callable[[str], None],
    refresh_seconds: float = 5.0,
    allowed_hosts: Sequence[str] = (),
) -> None:
    """Open a model and answer for it until SIGTERM or Ctrl-C. `port` 0: a free one. `allowed_hosts`: further names of
    this machine. Raises ConfigError for a model that is not there or a port that is taken."""
    current = CurrentModel(model, workspace, tell)
    names = {*HERE, host, *allowed_hosts}
    if host in EVERYWHERE:
        names.add(socket.gethostname())
    app = make_app(current, limits, {name.lower() for name in names}, refresh_seconds)
    with _listen(host, port) as listening:
        shown = f"[{host}]" if ":" in host else host
        version = f", version {current.loaded.version}" if current.loaded.version else ""
        tell(f"http://{shown}:{listening.getsockname()[1]}  answers for {model}{version}; Ctrl-C stops it")
        settings = uvicorn.Config(
            app, log_level="warning", access_log=False, timeout_graceful_shutdown=PATIENCE, lifespan="on"
        )
        uvicorn.Server(settings).run([listening])


def _listen(host: str, port: int) -> socket.socket:
    """A socket that says it is TCP: only of such does asyncio send small answers at once, without 40 ms of waiting for
    more (Nagle's algorithm). Raises ConfigError where it cannot listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(2048)
    except OSError as error:
        listening.close()
        raise ConfigError(f"{host}:{port}: {error.strerror}; another --port would do") from None
    return listening
