"""All conditions of the gate. A new one is one module and one row here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Union

from pydantic import BeforeValidator, Discriminator

from kepipe.config import named_section
from kepipe.tracking.conditions.approval import Approval
from kepipe.tracking.conditions.at_least import AtLeast
from kepipe.tracking.conditions.base import Condition
from kepipe.tracking.conditions.better import BetterCondition
from kepipe.tracking.conditions.latency import Latency
from kepipe.tracking.conditions.memory import Memory
from kepipe.tracking.conditions.no_worse import NoWorse
from kepipe.tracking.conditions.size import Size

CONDITIONS: Mapping[str, type[Condition]] = {
    "better": BetterCondition,
    "no-worse": NoWorse,
    "at-least": AtLeast,
    "latency": Latency,
    "size": Size,
    "memory": Memory,
    "approval": Approval,
}


if TYPE_CHECKING:
    AnyCondition = Condition
else:
    AnyCondition = Annotated[
        Union[tuple(CONDITIONS.values())],  # noqa: UP007
        Discriminator("condition"),
        BeforeValidator(named_section("condition", "condition", CONDITIONS)),
    ]
    """A condition with its settings, or only its name."""
