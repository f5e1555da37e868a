"""Default settings of the quiz, separate so that the command-line help does not need to import the settings."""

from __future__ import annotations

from typing import Literal

Reduction = Literal["sum", "mean"]

QUESTIONS, OPTIONS = 2000, 60
STATED: tuple[str, ...] = ("train",)
HELD_OUT: tuple[str, ...] = ("valid", "test")
REDUCTION: Reduction = "sum"
