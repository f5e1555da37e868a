"""The figures that a stage will have, known in advance, so that an unknown name is an error before anything runs."""

from __future__ import annotations

from collections.abc import Collection
from fnmatch import fnmatchcase

from kepipe.config import suggest


def refusal(stage: str, metric: str, figures: Collection[str] | None) -> str | None:
    """The error message if a stage will have no figure of this name; None if it may have it.

    `figures`: names, in which `*` stands for parts that depend on the data (a type, a relation); None: not known.
    """
    if figures is None or any(fnmatchcase(metric, name) for name in figures):
        return None
    exact = [name for name in figures if "*" not in name]
    return f"`{stage}` will have no figure `{metric}`{suggest(metric, exact)} (it has {', '.join(figures)})"
