"""A schedule: which pipeline, what fires it, and what happens where a run fails or takes long."""

from __future__ import annotations

import re

from pydantic import Field

from kepipe.config import ConfigError, Section
from kepipe.flow.triggers.table import AnyTrigger

NAME = re.compile(r"\w[\w.-]*")
"""Names of schedules: folders are called so."""
RESERVED = ("locks", "outbox")
"""Folders beside those of the schedules."""


class Schedule(Section):
    """All that is kept of a schedule but its name. It names a pipeline and nothing that could be run besides."""

    pipeline: str
    """Its file."""
    overrides: tuple[str, ...] = ()
    """`--set` assignments."""
    when: AnyTrigger
    """What fires it."""
    retries: int = Field(0, ge=0)
    """How often a run that failed is tried again."""
    backoff: float = Field(60.0, gt=0)
    """Seconds before the first retry; each further pause is twice as long."""
    timeout: float | None = Field(None, gt=0)
    """Seconds after which a run is told to stop; none: it takes as long as it takes."""


def check_name(name: str) -> None:
    """Raise ConfigError for a name that no folder should have."""
    if not NAME.fullmatch(name) or name in RESERVED:
        raise ConfigError(
            f"schedule name {name!r}: expected letters, digits, dots, dashes and underscores, and neither "
            f"{' nor '.join(RESERVED)}"
        )
