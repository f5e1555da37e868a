"""What `dagster dev -m kepipe.flow.dagster` loads: the pipelines that the variable KEPIPE_PIPELINES names, as assets.

In a file of one's own, `definitions` gives the same for pipelines that are named there. Needs `kepipe[dagster]`.
"""

from __future__ import annotations

import dagster as dg

from kepipe.dagster.location import definitions, from_environment

__all__ = ["definitions", "defs"]


@dg.definitions
def defs() -> dg.Definitions:
    """Read only when Dagster loads this module, not when `definitions` is imported from it."""
    return from_environment()
