"""Lengths of time as people write them: `90s`, `10m`, `1h30m`."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, SerializationInfo, WithJsonSchema

SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0}
PATTERN = r"^(\d+(\.\d+)?[hms])+$"


def seconds(value: Any) -> Any:
    """`1h30m` → 5400.0. A number is refused: of what?"""
    if isinstance(value, str) and re.fullmatch(PATTERN, value):
        return sum(float(number) * SECONDS[unit] for number, unit in re.findall(r"([\d.]+)([hms])", value))
    raise ValueError("expected a length of time, such as 90s, 10m or 1h30m")


def _written(value: Any, info: SerializationInfo) -> Any:
    """As a file has it, where one is written; elsewhere the number."""
    return f"{value:.10g}s" if info.context and info.context.get("yaml") else value


Duration = Annotated[
    float,
    BeforeValidator(seconds),
    PlainSerializer(_written),
    WithJsonSchema({"type": "string", "pattern": PATTERN}),
]
"""Seconds, written with their unit."""
