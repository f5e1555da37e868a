"""The content of a notification, and the protocol of a channel that sends it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

Notice = Mapping[str, Any]
"""Plain JSON data: `id`, `schedule`, `pipeline`, `reason`, `outcome`, `attempts`, `seconds`, `started` (Unix time),
`code` (exit code), `log` (a file) and `said`, the last lines of the run's output."""


class DeliveryError(Exception):
    """A notice could not be delivered. `final`: a retry would not help."""

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


class Channel(Protocol):
    """Sends notices to one address. A row of the table is a function from an address to a channel."""

    def __call__(self, notice: Notice) -> None:
        """Send it. Raises DeliveryError."""
        ...


def encode(notice: Notice) -> bytes:
    """The notice as JSON, UTF-8."""
    return json.dumps(notice, ensure_ascii=False, sort_keys=True).encode()


def headline(notice: Notice) -> str:
    """The notice in one sentence."""
    return f"{notice['schedule']} {notice['outcome']} after {notice['seconds']:.0f} s ({notice['reason']})"
