"""A schedule: its pipeline, its trigger, and its policy for failed and long runs."""

from __future__ import annotations

import re

from pydantic import Field

from kepipe.config import ConfigError, Section
from kepipe.flow.triggers.table import AnyTrigger

NAME = re.compile(r"\w[\w.-]*")
"""Valid names of schedules, which are also names of folders."""
RESERVED = ("locks", "outbox")
"""Reserved names: other folders next to those of the schedules."""


class Schedule(Section):
    """A stored schedule, without its name. It can only name a pipeline; nothing else in it is executed."""

    pipeline: str
    """Path of the pipeline's file."""
    overrides: tuple[str, ...] = ()
    """`--set` assignments."""
    when: AnyTrigger
    """Its trigger."""
    retries: int = Field(0, ge=0)
    """Number of retries of a failed run."""
    backoff: float = Field(60.0, gt=0)
    """Seconds before the first retry; doubled for each further one."""
    timeout: float | None = Field(None, gt=0)
    """Seconds after which a run is stopped; None: no limit."""


def check_name(name: str) -> None:
    """Raise ConfigError for a name that is not valid as a folder's."""
    if not NAME.fullmatch(name) or name in RESERVED:
        raise ConfigError(
            f"schedule name {name!r}: expected letters, digits, dots, dashes and underscores, and neither "
            f"{' nor '.join(RESERVED)}"
        )
