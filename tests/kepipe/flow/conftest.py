"""A workspace for the small flow, and how its stages ended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kepipe.flow.events import Event
from kepipe.flow.plan import Workspace
from tests.support.flow import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(Workspace(tmp_path / "workspace"))


@pytest.fixture
def statuses() -> Callable[[list[Event]], dict[str, str]]:
    def read(events: list[Event]) -> dict[str, str]:
        names = {"StageCached": "cached", "StageEnded": "ran"}
        return {event.stage: names[type(event).__name__] for event in events if type(event).__name__ in names}

    return read
