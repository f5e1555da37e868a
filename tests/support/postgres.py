"""A PostgreSQL server for the time of a test: of the package `pgserver`, or one that is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from tests.support.ports import free_port
from tests.support.waiting import until

ACCOUNT = "nobody"
"""PostgreSQL refuses to run as root."""


def programs() -> Path | None:
    """The folder with `initdb` and `postgres`; None if there is none that this user may run."""
    spec = find_spec("pgserver")  # importing it as root would create an account
    bundled = (
        [Path(location) / "pginstall" / "bin" for location in (spec.submodule_search_locations or [])]
        if spec
        else []
    )
    initdb = shutil.which("initdb")
    installed = [Path(initdb).resolve().parent] if initdb else []
    return next((folder for folder in [*bundled, *installed] if _runs(folder / "initdb")), None)


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """The address of a server whose programs lie in `folder`, for SQLAlchemy with psycopg."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="postgres-") as root:
        data = Path(root) / "data"
        if os.geteuid() == 0:
            shutil.chown(root, ACCOUNT)
        options = [
            "--auth=trust",
            "--encoding=utf8",
            "--locale=C",
            "--no-sync",
            "--username=kepipe",
            "-D",
            str(data),
        ]
        _call([str(folder / "initdb"), *options])
        settings = [
            "-c",
            "fsync=off",
            "-c",
            "listen_addresses=127.0.0.1",
            "-p",
            str(port),
            "-k",
            root,
            "-D",
            str(data),
        ]
        server = subprocess.Popen(
            [str(folder / "postgres"), *settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            cwd=root, user=_account(),
        )  # fmt: skip
        try:
            until(lambda: server.poll() is not None or _is_ready(data))
            assert server.poll() is None, "postgres ended"
            yield f"postgresql+psycopg://kepipe@127.0.0.1:{port}/postgres"
        finally:
            server.terminate()
            server.wait()


def _is_ready(data: Path) -> bool:
    """Whether the server accepts connections: the last line of `postmaster.pid` is its status."""
    file = data / "postmaster.pid"
    return file.is_file() and file.read_text().rstrip().endswith("ready")


def _account() -> str | None:
    return ACCOUNT if os.geteuid() == 0 else None


def _call(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, cwd="/", user=_account())


def _runs(program: Path) -> bool:
    try:
        return (
            subprocess.run(
                [str(program), "--version"], cwd="/", user=_account(), capture_output=True, check=False
            ).returncode
            == 0
        )
    except OSError:
        return False
