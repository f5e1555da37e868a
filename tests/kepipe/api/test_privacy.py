"""Files that kepipe writes from Python are private, and the process's state is restored afterwards."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from kepipe.api.privacy import SAFE_PATH, UMASK, kept_private
from kepipe.config import ConfigError


def mask() -> int:
    """The current umask, which can only be read by setting it."""
    present = os.umask(0)
    os.umask(present)
    return present


def test_written_files_are_private_and_the_umask_is_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(UMASK, raising=False)
    monkeypatch.delenv(SAFE_PATH, raising=False)
    before = mask()
    with kept_private():
        (tmp_path / "file").write_text("secret")
        assert os.environ[SAFE_PATH] == "1"
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600
    assert mask() == before
    assert SAFE_PATH not in os.environ


def test_the_variable_sets_another_umask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(UMASK, "027")
    monkeypatch.setenv(SAFE_PATH, "x")
    with kept_private():
        assert mask() == 0o027
    assert os.environ[SAFE_PATH] == "x"
    monkeypatch.setenv(UMASK, "9")
    with pytest.raises(ConfigError, match="KEPIPE_UMASK=9: expected octal digits"), kept_private():
        pass
