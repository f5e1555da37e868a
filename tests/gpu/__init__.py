"""Checks of a GPU, in minutes: `python -m tests.gpu` (docs/gpu.md)."""
