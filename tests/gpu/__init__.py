"""What a GPU has to prove, in minutes: `python -m tests.gpu` (docs/gpu.md)."""
