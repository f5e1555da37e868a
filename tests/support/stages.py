"""A stage run as the runner runs it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from kepipe.flow.events import Event
from kepipe.flow.stage import Stage, StageContext


def run_stage(stage: Stage[Any, Any], inputs: Any, config: Any, folder: Path) -> list[Event]:
    """The events of a run in `folder`, whose `out` is emptied before and whose `scratch` is as it was left."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    for name in ("out", "scratch"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    events: list[Event] = []
    stage.run(inputs, config, StageContext(folder / "out", folder / "scratch", 0, "cpu", events.append))
    return events
