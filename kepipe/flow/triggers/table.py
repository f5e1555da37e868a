"""The table of triggers. A new trigger is one module and one row here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Discriminator

from kepipe.flow.triggers.after import After
from kepipe.flow.triggers.base import Trigger
from kepipe.flow.triggers.cron import Cron
from kepipe.flow.triggers.on_drift import OnDrift
from kepipe.flow.triggers.when_changed import WhenChanged

TRIGGERS: Mapping[str, type[Trigger]] = {
    "cron": Cron,
    "when-changed": WhenChanged,
    "after": After,
    "on-drift": OnDrift,
}

if TYPE_CHECKING:
    AnyTrigger = Trigger
else:
    AnyTrigger = Annotated[Union[tuple(TRIGGERS.values())], Discriminator("kind")]  # noqa: UP007
    """The settings of any trigger."""
