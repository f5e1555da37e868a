"""Which figures a stage will have, known before it runs, so that a name that is none is told before hours of work."""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase

from kepipe.config import suggest


def refusal(stage: str, metric: str, figures: Collection[str] | None) -> str | None:
    """Why a stage has no figure of this name, with those that it has; None where it may have it.

    `figures`: names, in which `*` stands for what the data decides (a type, a relation); None: nothing is known.
    """
    if figures is None or any(fnmatchcase(metric, name) for name in figures):
        return None
    exact = [name for name in figures if "*" not in name]
    return f"`{stage}` will have no figure `{metric}`{suggest(metric, exact)} (it has {', '.join(figures)})"
