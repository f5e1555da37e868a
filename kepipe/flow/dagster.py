"""For `dagster dev -m kepipe.flow.dagster`: the pipelines listed in the variable KEPIPE_PIPELINES, as assets.

In your own code, `definitions` does the same for given pipelines. Needs `kepipe[dagster]`.
"""

from __future__ import annotations

import dagster as dg

from kepipe.dagster.location import definitions, from_environment

__all__ = ["definitions", "defs"]


@dg.definitions
def defs() -> dg.Definitions:
    """Read only when Dagster loads this module, not when `definitions` is imported from it."""
    return from_environment()
