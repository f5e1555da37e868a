"""The version is that of the package."""

from __future__ import annotations

import tomllib
from pathlib import Path

import kepipe

ROOT = Path(__file__).parents[2]


def test_the_version_is_that_of_the_project_file() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert kepipe.__version__ == project["version"]
