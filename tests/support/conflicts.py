"""Conflicts that are reported for a pipeline file before any stage runs."""

from __future__ import annotations

from pathlib import Path

from kepipe.config import ConfigError
from kepipe.pipeline import load


def error_message(tmp_path: Path, stages: str, rest: str = "") -> str:
    """The message for a file with these stages; "" if it is valid."""
    file = tmp_path / "p.yaml"
    file.write_text(f"name: p\nstages:\n{stages}{rest}")
    try:
        load(file)
    except ConfigError as reason:
        return str(reason)
    return ""
