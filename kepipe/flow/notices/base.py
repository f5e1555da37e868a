"""What is told of a firing, and what a way to tell it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

Notice = Mapping[str, Any]
"""Plain JSON data: `id`, `schedule`, `pipeline`, `reason`, `outcome`, `attempts`, `seconds`, `started` (Unix time),
`code`, `log` (a file) and `said`, the last lines of the run's output."""


class NotToldError(Exception):
    """A notice did not arrive. `final`: trying again would not help."""

    def __init__(self, why: str, *, final: bool = False) -> None:
        super().__init__(why)
        self.final = final


class Way(Protocol):
    """How notices get to an address. A row of the table is a function from the address to this."""

    def __call__(self, notice: Notice) -> None:
        """Tell it. Raises NotToldError."""
        ...


def encode(notice: Notice) -> bytes:
    """The notice as JSON, UTF-8."""
    return json.dumps(notice, ensure_ascii=False, sort_keys=True).encode()


def headline(notice: Notice) -> str:
    """The notice in one sentence."""
    return f"{notice['schedule']} {notice['outcome']} after {notice['seconds']:.0f} s ({notice['reason']})"
