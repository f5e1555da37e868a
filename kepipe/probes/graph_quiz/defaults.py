"""What is asked where nothing is said: known to the command line's help, which loads no settings."""

from __future__ import annotations

from typing import Literal

Reduction = Literal["sum", "mean"]

QUESTIONS, OPTIONS = 2000, 60
STATED: tuple[str, ...] = ("train",)
HELD_OUT: tuple[str, ...] = ("valid", "test")
REDUCTION: Reduction = "sum"
