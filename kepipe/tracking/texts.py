"""What MLflow hands to a model."""

from __future__ import annotations

from typing import Any


def texts_of(model_input: Any) -> list[str]:
    """The texts of whatever MLflow passes on: a list, a series, the first column of a table."""
    values = model_input.iloc[:, 0] if hasattr(model_input, "iloc") and model_input.ndim == 2 else model_input
    return [str(value) for value in values]
