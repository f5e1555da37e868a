"""Model inputs as MLflow passes them."""

from __future__ import annotations

from typing import Any


def texts_of(model_input: Any) -> list[str]:
    """The texts of an MLflow model input: a list, a series, or the first column of a table."""
    values = model_input.iloc[:, 0] if hasattr(model_input, "iloc") and model_input.ndim == 2 else model_input
    return [str(value) for value in values]
