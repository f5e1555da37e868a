"""Run the HTTP server until SIGTERM or Ctrl-C; requests in progress are completed first."""

from __future__ import annotations

import math
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import uvicorn

from kepipe.config import ConfigError
from kepipe.serving.app import Limits, make_app
from kepipe.serving.served_model import CurrentModel

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Loopback names of this machine."""
ANY_ADDRESS = ("0.0.0.0", "::")


def serve(
    model: str,
    workspace: Path,
    host: str,
    port: int,
    limits: Limits,
    on_message: Callable[[str], None],
    refresh_seconds: float = 5.0,
    allowed_hosts: Sequence[str] = (),
) -> None:
    """Load a model and serve it until SIGTERM or Ctrl-C. `port`: 0 for any free port; `allowed_hosts`: further host
    names of this machine. Raises ConfigError if there is no such model, or the port is in use."""
    current = CurrentModel(model, workspace, on_message)
    names = {*LOOPBACK, host, *allowed_hosts}
    if host in ANY_ADDRESS:
        names.add(socket.gethostname())
    app = make_app(current, limits, {name.lower() for name in names}, refresh_seconds)
    with _listen(host, port) as listening:
        shown = f"[{host}]" if ":" in host else host
        version = f", version {current.loaded.version}" if current.loaded.version else ""
        on_message(f"http://{shown}:{listening.getsockname()[1]}  serving {model}{version}; Ctrl-C stops it")
        settings = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=math.ceil(limits.timeout) + 1,  # by then each has its answer, or 504
            lifespan="on",
        )
        uvicorn.Server(settings).run([listening])


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket. It is created with protocol TCP, since asyncio sets TCP_NODELAY only then: otherwise small
    responses are delayed by 40 ms. Raises ConfigError if it cannot listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(2048)
    except OSError as error:
        listening.close()
        raise ConfigError(f"{host}:{port}: {error.strerror}; try another --port") from None
    return listening
