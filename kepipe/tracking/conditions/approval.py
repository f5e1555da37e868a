"""`approval`: somebody says yes, by `kepipe models approve`."""

from __future__ import annotations

from typing import Literal

from kepipe.tracking.conditions.base import Condition, Facts, Found


class Approval(Condition):
    """Be approved by a person, once all other conditions are met."""

    condition: Literal["approval"] = "approval"

    def check(self, _facts: Facts) -> Found:
        return Found(None, "it waits for a person's approval (`kepipe models approve`)")
