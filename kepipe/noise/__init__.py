"""Corruptions. Each is a draw, which takes randomness, and a rendering, which takes what was drawn."""
