"""A real server: who can reach it, and what others see of it."""

from __future__ import annotations

import socket
from pathlib import Path

import psutil
import pytest

from kepipe.tracking import dashboard
from kepipe.tracking.store import Store


def test_it_is_reached_from_this_machine_alone_and_shows_no_address_of_its_store(
    space: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does it import what lies in the folder where it is started."""
    (tmp_path / "sqlparse.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONSAFEPATH", "1")  # as `kepipe.cli.main` sets it
    port = dashboard.next_free(20000)
    server = dashboard.start(space, port)
    try:
        processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
        assert not [process for process in processes if store.uri in " ".join(process.cmdline())]
        with socket.create_connection(("127.0.0.1", port), timeout=30):
            pass
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.2", port), timeout=30)
    finally:
        dashboard.stop(server)
    assert not (tmp_path / "ran").exists()
