"""Places that cannot be written: found out beforehand, or told in words."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from kepipe import files


def test_a_lock_is_seen_without_a_file_being_made(tmp_path: Path) -> None:
    file = tmp_path / "one.lock"
    assert not files.is_locked(file)
    assert not file.exists()
    with files.lock(file):
        assert files.is_locked(file)
    assert not files.is_locked(file)


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.EPERM])
def test_lock_that_cannot_be_made_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object, **_options: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with (
        pytest.raises(PermissionError, match=f"{tmp_path}/locks is not writable, so nothing can be changed"),
        files.lock(tmp_path / "locks" / "key.lock"),
    ):
        pytest.fail("no lock is held")


def test_other_errors_of_a_lock_are_raised_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError), files.lock(tmp_path / "file" / "key.lock"):
        pytest.fail("no lock is held")


@pytest.fixture
def no_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what has a bit for writing may be written, as it is for users other than root."""
    monkeypatch.setattr(os, "access", lambda path, _: bool(Path(path).stat().st_mode & 0o222))


@pytest.mark.usefixtures("no_root")
def test_place_is_writable_by_its_own_mode_or_that_of_the_folder_above(tmp_path: Path) -> None:
    (closed := tmp_path / "closed").mkdir()
    for name in ("file", "closed/file"):
        (tmp_path / name).touch()
    (tmp_path / "read").touch(0o444)
    closed.chmod(0o555)
    assert files.writable(tmp_path / "missing")
    assert files.writable(tmp_path / "missing" / "folder" / "file")
    assert not files.writable(tmp_path / "read")
    assert not files.writable(closed)
    assert not files.writable(closed / "missing" / "file")
    assert files.writable(closed / "file")


@pytest.mark.usefixtures("no_root")
def test_database_is_written_with_a_journal_beside_it(tmp_path: Path) -> None:
    (tmp_path / "read.db").touch(0o444)
    (closed := tmp_path / "closed").mkdir()
    (closed / "file.db").touch()
    closed.chmod(0o555)
    assert files.sqlite_writable(tmp_path / "missing.db")
    assert not files.sqlite_writable(tmp_path / "read.db")
    assert not files.sqlite_writable(closed / "file.db")
