"""How a model's hidden states become one vector of a text, and how it was trained to be read."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

Pooling = Literal["mean", "first"]
"""Of all tokens of a row, special ones included, or of the first (BERT's [CLS])."""


def trained_pooling(folder: Path) -> Pooling | None:
    """How the vectors of a model folder were pooled in its training; None of one that was not trained for vectors of
    texts."""
    from kepipe.models.folder import read_provenance  # with torch, which settings do without

    trained = read_provenance(folder)
    objective = trained.get("config", {}).get("objective", {})
    parts = [part["objective"] for part in objective.get("of", ())] if isinstance(objective, dict) else []
    found = [part["pooling"] for part in (objective, *parts) if isinstance(part, dict) and "pooling" in part]
    return found[0] if found and found[0] in get_args(Pooling) else None
