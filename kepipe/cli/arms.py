"""Models on the command line as the arms of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def arms(models: Sequence[str]) -> dict[str, str]:
    """Arm → model; an arm's name is the shortest unique end of the model's path. Raises ValueError for a duplicate."""
    for parts in range(1, max(len(Path(model).parts) for model in models) + 1):
        found = {"/".join(Path(model).parts[-parts:]): model for model in models}
        if len(found) == len(models):
            return found
    raise ValueError("the same model is given twice")
