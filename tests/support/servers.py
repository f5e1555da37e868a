"""Servers of other programs, as processes that answer over HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from kepipe.tracking.server_process import end_group
from tests.support.waiting import until

AWS = {
    "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_MAX_ATTEMPTS": "1", "AWS_EC2_METADATA_DISABLED": "true",
}  # fmt: skip
"""The environment of a client of a local S3 server."""


@contextmanager
def server(command: list[str], address: str, folder: Path, **variables: str) -> Iterator[None]:
    """A process that answers at an address."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, **variables}
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], stdout=log, stderr=log, env=environment, start_new_session=True
        )

    def answers() -> bool:
        assert process.poll() is None, (folder / "server.log").read_text()[-2000:]
        try:
            return httpx.get(address).status_code < 500
        except httpx.HTTPError:
            return False

    try:
        until(answers)
        yield
    finally:
        end_group(process)
