"""Files of a model folder at a second place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kepipe.models.files import share


def test_a_shared_file_takes_no_room_twice(tmp_path: Path) -> None:
    (tmp_path / "table").write_text("vectors")
    share(tmp_path / "table", tmp_path / "model" / "table")
    assert (tmp_path / "model" / "table").samefile(tmp_path / "table")


def test_sharing_replaces_and_does_not_write_through(tmp_path: Path) -> None:
    """The place may hold a link to another file, whose content is nobody's to change."""
    for name in ("old", "new"):
        (tmp_path / name).write_text(name)
    share(tmp_path / "old", tmp_path / "model")
    share(tmp_path / "new", tmp_path / "model")
    assert ((tmp_path / "model").read_text(), (tmp_path / "old").read_text()) == ("new", "old")


def test_without_links_it_is_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "table").write_text("vectors")
    share(tmp_path / "table", tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "vectors"
    assert not (tmp_path / "copy").samefile(tmp_path / "table")
