"""Runs a stage as the runner does."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from kepipe.flow.events import Event
from kepipe.flow.stage import Stage, StageContext


def run_stage(stage: Stage[Any, Any], inputs: Any, config: Any, folder: Path) -> list[Event]:
    """The events of a run in `folder`, whose `out` is emptied before; `scratch` is kept."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    for name in ("out", "scratch"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    events: list[Event] = []
    stage.run(inputs, config, StageContext(folder / "out", folder / "scratch", 0, "cpu", events.append))
    return events


def count_parsed(file: Path, monkeypatch: pytest.MonkeyPatch) -> Counter[bytes]:
    """Counts from now on how often each line of a JSON-lines file is parsed in this process, by any reader."""
    lines, parsed, original = set(file.read_bytes().splitlines()), Counter[bytes](), json.loads

    def count(text: str | bytes, *args: Any, **settings: Any) -> Any:
        line = (text.encode() if isinstance(text, str) else text).rstrip(b"\n")
        if line in lines:
            parsed[line] += 1
        return original(text, *args, **settings)

    monkeypatch.setattr(json, "loads", count)
    return parsed
