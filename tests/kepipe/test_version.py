"""The version of the package."""

from __future__ import annotations

import tomllib
from pathlib import Path

import kepipe

ROOT = Path(__file__).parents[2]


def test_version_equals_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert kepipe.__version__ == project["version"]
