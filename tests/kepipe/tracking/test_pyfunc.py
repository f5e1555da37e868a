"""A model folder as MLflow keeps it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from kepipe.tracking import pyfunc
from tests.support.tasks import base_model


def test_the_code_with_a_model_is_its_users_alone(tmp_path: Path) -> None:
    """Whoever may read or write it where it was installed."""
    folder, before = base_model(tmp_path / "base"), os.umask(0o077)
    try:
        pyfunc.write(folder.folder, tmp_path / "model", "m-0", "r")
    finally:
        os.umask(before)
    code = [tmp_path / "model" / "code", *(tmp_path / "model" / "code").rglob("*")]
    assert len(code) > 100
    assert {stat.S_IMODE(place.stat().st_mode) for place in code if place.is_dir()} == {0o700}
    assert {stat.S_IMODE(place.stat().st_mode) for place in code if place.is_file()} == {0o600}
